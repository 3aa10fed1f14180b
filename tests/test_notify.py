"""sd_notify: what a service manager hears of a daemon, and what it does not."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bluegreen.notify import Notifier
from tests.service_manager import ServiceManager


@pytest.fixture
def notifier(listener: ServiceManager, monkeypatch: pytest.MonkeyPatch) -> Iterator[Notifier]:
    """One with a watchdog of 4 s."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    connected = Notifier.take_from(os.environ)
    yield connected
    connected.close()


def test_each_message_is_as_systemd_reads_it(listener: ServiceManager, notifier: Notifier) -> None:
    before = time.monotonic_ns() // 1000
    notifier.extend(30)
    notifier.ready("serving 1 app")
    notifier.feed()
    notifier.reloading()
    notifier.stopping()
    listener.receive()

    extended, ready, fed, reloading, stopping = listener.messages
    assert extended == "EXTEND_TIMEOUT_USEC=30000000"
    assert ready == "READY=1\nSTATUS=serving 1 app"
    assert fed == "WATCHDOG=1"
    assert stopping == "STOPPING=1\nSTATUS=stopping"
    first, _, microseconds = reloading.partition("\nMONOTONIC_USEC=")
    assert first == "RELOADING=1"
    assert before <= int(microseconds) <= time.monotonic_ns() // 1000


def test_a_status_is_one_line_of_utf_8(listener: ServiceManager, notifier: Notifier) -> None:
    notifier.status("deploying café\nREADY=1 ✓")
    listener.receive()

    assert listener.raw == ["STATUS=deploying café READY=1 ✓".encode()]


def test_the_variables_are_not_left_for_children(notifier: Notifier) -> None:
    assert notifier.watchdog_seconds == 4
    assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC"} & os.environ.keys()


def test_a_watchdog_of_another_process_is_not_fed(
    listener: ServiceManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    monkeypatch.setenv("WATCHDOG_USEC", "4000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getppid()))
    notifier = Notifier.take_from(os.environ)
    notifier.feed()
    listener.receive()
    notifier.close()

    assert notifier.watchdog_seconds is None
    assert listener.raw == []


def test_without_a_manager_nothing_is_said() -> None:
    notifier = Notifier.take_from({"WATCHDOG_USEC": "4000000"})
    notifier.ready("serving")
    notifier.feed()

    assert not notifier.is_connected
    assert notifier.watchdog_seconds is None


# The package leaves its socket to the garbage collector when nobody listens.
@pytest.mark.filterwarnings(
    "ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"
)
def test_a_manager_that_is_not_there_fails_nothing(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(root / "nobody"))
    notifier = Notifier.take_from(os.environ)
    notifier.ready("serving")

    assert not notifier.is_connected
    assert "the service manager is told nothing" in caplog.text


def test_a_manager_that_ends_fails_nothing(
    listener: ServiceManager, notifier: Notifier, caplog: pytest.LogCaptureFixture
) -> None:
    listener.socket.close()
    notifier.ready("serving")

    assert "was not told 'READY=1" in caplog.text


def fill(listener: ServiceManager) -> None:
    """Send to it until no more fits in its queue."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as filler:
        filler.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                filler.sendto(b"filler", str(listener.path))


def test_a_busy_manager_is_told_later_but_not_of_old_life_signs(
    listener: ServiceManager, notifier: Notifier
) -> None:
    fill(listener)
    notifier.feed()
    notifier.ready("serving")
    listener.receive()
    notifier.status("deploying")
    listener.receive()

    assert [text for text in listener.messages if text != "filler"] == [
        "READY=1\nSTATUS=serving", "STATUS=deploying",
    ]  # fmt: skip
