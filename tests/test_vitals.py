"""A real daemon and what its service manager hears, while it is well and while it is not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import AsyncIterator

import pytest

from bluegreen.errors import StoreError
from bluegreen.model import OperationKind
from bluegreen.notify import Notifier
from bluegreen.vitals import DOING, Vitals
from tests.service_manager import ServiceManager, service_manager
from tests.stack import Stack, stack
from tests.waiting import PATIENCE, eventually

WATCHDOG = 1.0  # seconds; fed at half of it


@pytest.fixture
async def empty() -> AsyncIterator[Stack]:
    async with stack() as built:
        yield built


@pytest.fixture
async def manager(empty: Stack) -> AsyncIterator[ServiceManager]:
    async with service_manager(empty.root) as listening:
        yield listening


def is_fed(message: str) -> bool:
    return message == "WATCHDOG=1"


def is_ready(message: str) -> bool:
    return message.startswith("READY=1\n")


async def silence(manager: ServiceManager, seconds: float) -> None:
    """AssertionError if a watchdog is fed within the next ``seconds``, give or take one message."""
    manager.receive()  # what came before counts for nothing
    before = manager.messages.count("WATCHDOG=1")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert manager.messages.count("WATCHDOG=1") <= before + 1
        await asyncio.sleep(0.05)


async def test_ready_is_said_once_the_api_serves_and_never_before(
    empty: Stack, manager: ServiceManager
) -> None:
    async def serves_at_ready() -> bool:
        await manager.until(is_ready, "READY")
        _, writer = await asyncio.open_unix_connection(str(empty.layout.control_socket))
        writer.close()
        await writer.wait_closed()
        return True

    at_once = asyncio.create_task(serves_at_ready(), name="connect when ready")
    await empty.serve(prefix=manager.environment())

    assert await at_once
    ready = await manager.until(is_ready, "READY")
    assert manager.messages[ready] == "READY=1\nSTATUS=serving 0 apps"
    assert "EXTEND_TIMEOUT_USEC=30000000" in manager.messages[:ready]
    assert "WATCHDOG=1" not in manager.messages  # nobody asked for it


async def test_the_watchdog_is_fed_at_half_of_its_time(
    empty: Stack, manager: ServiceManager
) -> None:
    began = time.monotonic()
    await empty.serve(prefix=manager.environment(WATCHDOG))
    first = await manager.until(is_fed, "WATCHDOG")
    for _ in range(4):
        first = await manager.until(is_fed, "WATCHDOG again", since=first + 1)

    # On a busy host we see them late, and some of them together: but never more than were due.
    fed = sum(map(is_fed, manager.messages))
    assert fed <= 1 + (time.monotonic() - began) / (WATCHDOG / 2)


async def test_a_stopped_daemon_feeds_nothing(empty: Stack, manager: ServiceManager) -> None:
    await empty.serve(prefix=manager.environment(WATCHDOG))
    await manager.until(is_fed, "WATCHDOG")
    empty.signal(signal.SIGSTOP)
    await silence(manager, 3 * WATCHDOG)

    said = len(manager.messages)
    empty.signal(signal.SIGCONT)
    await manager.until(is_fed, "WATCHDOG after SIGCONT", since=said)


async def test_a_daemon_whose_store_hangs_feeds_nothing(
    empty: Stack, manager: ServiceManager
) -> None:
    await empty.serve(prefix=manager.environment(WATCHDOG))
    await manager.until(is_fed, "WATCHDOG")
    assert empty.daemon is not None
    # Every lock that SQLite takes in order to read now takes a minute; the loop goes on.
    async with hanging_locks(empty, empty.daemon.pid):
        await eventually(
            lambda: "the watchdog is not fed, because of the store" in empty.daemon_log.read_text(),
            "the daemon says why",
        )
        await silence(manager, 3 * WATCHDOG)


@contextlib.asynccontextmanager
async def hanging_locks(stack: Stack, pid: int) -> AsyncIterator[None]:
    shared = stack.layout.database.with_name("bluegreen.db-shm")
    strace = await asyncio.create_subprocess_exec(
        "strace", "-f", "-o", "/dev/null", "-p", str(pid), "-P", str(shared),
        "-e", "trace=fcntl", "-e", "inject=fcntl:delay_enter=60000000",
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert strace.stderr is not None
    try:
        assert b"attached" in await asyncio.wait_for(strace.stderr.readline(), PATIENCE)
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            strace.kill()
        await strace.communicate()


async def test_status_says_which_phase_of_what_is_running(
    empty: Stack, manager: ServiceManager
) -> None:
    empty.write_app(services=("api",), healthy_for="1s", watch="1s")
    await empty.serve(prefix=manager.environment())
    await empty.deploy("v1")
    await manager.until(lambda text: text == "STATUS=serving 1 app", "the deploy is over")

    said = manager.messages
    assert "STATUS=serving 1 app; deploying monitor v1: gate" in said
    assert "STATUS=serving 1 app; deploying monitor v1: watch" in said


@pytest.mark.parametrize("valid", [True, False], ids=["taken up", "refused"])
async def test_a_reload_begins_and_ends(empty: Stack, manager: ServiceManager, valid: bool) -> None:
    await empty.serve(prefix=manager.environment())
    ready = await manager.until(is_ready, "READY")
    path = empty.write_app(services=("api",))
    if not valid:
        path.write_text("[app]\nname = 1\n")
    empty.signal(signal.SIGHUP)

    began = await manager.until(
        lambda text: text.startswith("RELOADING=1\nMONOTONIC_USEC="), "RELOADING", since=ready
    )
    ended = await manager.until(is_ready, "READY again", since=began)
    apps = "1 app" if valid else "0 apps"
    assert manager.messages[ended] == f"READY=1\nSTATUS=serving {apps}"


async def test_a_reload_by_command_is_told_as_well(empty: Stack, manager: ServiceManager) -> None:
    await empty.serve(prefix=manager.environment())
    ready = await manager.until(is_ready, "READY")
    assert (await empty.cli("reload")).status == 0

    began = await manager.until(lambda t: t.startswith("RELOADING=1"), "RELOADING", since=ready)
    await manager.until(is_ready, "READY again", since=began)


async def test_stopping_is_said(empty: Stack, manager: ServiceManager) -> None:
    await empty.serve(prefix=manager.environment(WATCHDOG))

    assert await empty.terminate() == 0
    stopping = await manager.until(lambda text: text.startswith("STOPPING=1\n"), "STOPPING")
    after = manager.messages[stopping:]
    assert "EXTEND_TIMEOUT_USEC=30000000" in after
    assert not any(map(is_ready, after))


async def test_a_start_that_takes_long_asks_for_time_until_it_is_over(
    manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    vitals = Vitals(Notifier.take_from(os.environ), asyncio.Event)
    async with vitals.told():
        at = -1
        for _ in range(3):
            at = await manager.until(
                lambda text: text == "EXTEND_TIMEOUT_USEC=30000000", "more time", since=at + 1
            )
        vitals.ready(lambda: "serving 1 app")
        ready = await manager.until(is_ready, "READY")
        fed = await manager.until(is_fed, "WATCHDOG", since=ready)
        await manager.until(is_fed, "WATCHDOG again", since=fed + 1)
    assert not [text for text in manager.messages[ready:] if text.startswith("EXTEND")]


async def test_a_store_that_answers_again_is_fed_for_again(
    manager: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(manager.path))
    monkeypatch.setenv("WATCHDOG_USEC", "400000")
    fails = True

    async def store() -> None:
        if fails:
            raise StoreError("a disk error", remedy="look at the disk")

    vitals = Vitals(Notifier.take_from(os.environ), asyncio.Event)
    vitals.ask(store)
    async with vitals.told():
        vitals.ready(lambda: "serving 1 app")
        await manager.until(is_ready, "READY")
        await silence(manager, 1.0)
        assert "WATCHDOG=1" not in manager.messages
        fails = False
        await manager.until(is_fed, "WATCHDOG")


def test_what_is_done_has_a_word_for_every_kind_of_operation() -> None:
    assert DOING.keys() == set(OperationKind)
