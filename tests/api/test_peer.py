"""Whoever asks has a name, and is not kept waiting for it."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import threading

import pytest

from bluegreen.api import unix_peer
from bluegreen.api.peer import Caller
from bluegreen.model import Requester
from tests.waiting import PATIENCE


@pytest.fixture(autouse=True)
def nobody_was_looked_up_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unix_peer, "_names", {})


def test_a_process_is_known_by_its_user_and_groups() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        found = unix_peer.peer_of(ours)
    assert found == unix_peer.Peer(
        uid=os.getuid(), groups=frozenset({os.getgid(), *os.getgroups()})
    )


async def test_it_is_named_as_the_host_names_it() -> None:
    uid = os.getuid()
    caller = Caller(uid=uid, via="unix socket")
    named = Requester(name=f"uid {uid} ({pwd.getpwuid(uid).pw_name})", via="unix socket")
    assert await caller.requester() == named


async def test_a_directory_service_that_is_down_holds_nothing_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    is_up, asked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(uid: int) -> None:
        loop.call_soon_threadsafe(asked.set)
        assert is_up.wait(PATIENCE)

    monkeypatch.setattr(pwd, "getpwuid", hang)
    asking = asyncio.create_task(unix_peer.name_of(os.getuid()))
    try:
        async with asyncio.timeout(PATIENCE):
            await asked.wait()
            assert not asking.done()  # and the loop goes on
            assert await asking == f"uid {os.getuid()} (unknown)"
    finally:
        is_up.set()
