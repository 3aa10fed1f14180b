"""Signals that come while the daemon still starts."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator

import pytest

from tests.stack import PYTHON, Stack, stack
from tests.waiting import PATIENCE, eventually


@pytest.fixture
async def starting() -> AsyncIterator[Stack]:
    """A daemon that has begun its store, and has no API yet."""
    async with stack() as built:
        built.daemon = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "bluegreen", "serve", "--root", str(built.root), "--stop-apps",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        await eventually(built.layout.database.exists, "its store is begun")
        yield built


async def test_it_takes_all_of_it_down_as_at_any_time(starting: Stack) -> None:
    assert await starting.terminate() == 0
    assert not starting.layout.control_socket.exists()


async def test_a_reload_comes_once_it_serves(starting: Stack) -> None:
    starting.write_app("second", services=("api",))
    starting.signal(signal.SIGHUP)

    async def known() -> bool:
        assert starting.daemon is not None
        assert starting.daemon.returncode is None
        return (await starting.cli("status", "second")).status == 0

    await eventually(known, "the app is known", within=PATIENCE)
