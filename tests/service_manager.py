"""The manager's end of sd_notify(3) and of journald's socket: a datagram socket that is read."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from tests.waiting import eventually

RECEIVE = 2**18  # bytes


class ServiceManager:
    """Keeps every datagram, in order."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.raw: list[bytes] = []

    @property
    def messages(self) -> list[str]:
        return [datagram.decode() for datagram in self.raw]

    def listen(self) -> None:
        asyncio.get_running_loop().add_reader(self.socket, self.receive)

    def receive(self) -> None:
        """Take what has come in."""
        with contextlib.suppress(BlockingIOError):
            while True:
                self.raw.append(self.socket.recv(RECEIVE))

    def environment(self, watchdog: float | None = None) -> tuple[str, ...]:
        """A command prefix under which a daemon talks to this; ``watchdog`` in seconds."""
        variables = [f"NOTIFY_SOCKET={self.path}"]
        if watchdog is not None:
            variables.append(f"WATCHDOG_USEC={int(watchdog * 1e6)}")
        return ("env", *variables)

    async def until(self, wanted: Callable[[str], bool], what: str, *, since: int = 0) -> int:
        """Wait for a message after the first ``since``; its index."""

        def found() -> list[int]:
            news = enumerate(self.messages[since:], since)
            return [number for number, message in news if wanted(message)]

        numbers: list[int] = await eventually(found, f"the manager is told: {what}")
        return numbers[0]

    def close(self) -> None:
        with contextlib.suppress(RuntimeError):  # no loop: it was never listened to
            asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


@contextlib.asynccontextmanager
async def service_manager(directory: Path) -> AsyncIterator[ServiceManager]:
    manager = ServiceManager(directory / "notify.sock")
    manager.listen()
    try:
        yield manager
    finally:
        manager.close()
