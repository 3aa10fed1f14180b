"""Whoever asks has a name, and is not kept waiting for it."""

from __future__ import annotations

import asyncio
import os
import pwd
import socket
import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiohttp import web

from bluegreen.api import peer


@pytest.fixture
def request_of_ours(monkeypatch: pytest.MonkeyPatch) -> Any:
    """From a process of ours, whose name nobody has looked up yet."""
    monkeypatch.setattr(peer, "_names", {})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = SimpleNamespace(get_extra_info=lambda _: ours)
        yield cast("web.Request", SimpleNamespace(transport=transport))


async def test_it_is_named_as_the_host_names_it(request_of_ours: web.Request) -> None:
    uid = os.getuid()
    found = await peer.requester(request_of_ours)
    assert found.name == f"uid {uid} ({pwd.getpwuid(uid).pw_name})"


async def test_a_directory_service_that_is_down_holds_nothing_up(
    request_of_ours: web.Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_up, asked = threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def hang(uid: int) -> None:
        loop.call_soon_threadsafe(asked.set)
        assert is_up.wait(10)

    monkeypatch.setattr(pwd, "getpwuid", hang)
    asking = asyncio.create_task(peer.requester(request_of_ours))
    try:
        async with asyncio.timeout(5):
            await asked.wait()
            assert not asking.done()  # and the loop goes on
            assert (await asking).name == f"uid {os.getuid()} (unknown)"
    finally:
        is_up.set()
