"""What the daemon tells the service manager that started it, as sd_notify(3) has it."""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import MutableMapping

from sdnotify import SystemdNotifier  # type: ignore[import-untyped]

log = logging.getLogger(__name__)

KEPT = 16  # messages that a manager which does not read is told later
STATUS_LIMIT = 500  # characters
_VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """The manager's socket, or nothing where there is none.

    No method blocks, and none raises: a daemon that cannot tell how it is serves all the same.
    ``watchdog_seconds`` is within how long the manager wants to be fed, None if it does not.
    """

    def __init__(self, wire: SystemdNotifier | None, watchdog_seconds: float | None) -> None:
        self._wire = wire
        self.watchdog_seconds = watchdog_seconds
        self._unsent: deque[str] = deque(maxlen=KEPT)

    @classmethod
    def take_from(cls, environment: MutableMapping[str, str]) -> Notifier:
        """Connect to what the process's ``environment`` names, and take it out of there.

        The daemon's children are not to speak for it.
        """
        wire = None
        if environment.get("NOTIFY_SOCKET"):
            try:
                wire = SystemdNotifier(debug=True)  # which means: say what fails
                wire.socket.setblocking(False)
            except OSError as error:
                log.warning("the service manager is told nothing: %s", error)
        taken = {name: environment.pop(name, "") for name in _VARIABLES}
        interval = taken["WATCHDOG_USEC"]
        for_us = taken["WATCHDOG_PID"] in ("", str(os.getpid()))
        watched = wire is not None and for_us and interval.isdecimal() and int(interval) > 0
        return cls(wire, int(interval) / 1e6 if watched else None)

    @property
    def is_connected(self) -> bool:
        """Whether anybody listens."""
        return self._wire is not None

    def ready(self, status: str) -> None:
        """The daemon serves: after its start, and again after each reload."""
        self._send(f"READY=1\nSTATUS={_line(status)}", keep=True)

    def status(self, text: str) -> None:
        """One line on what the daemon is doing."""
        self._send(f"STATUS={_line(text)}", keep=True)

    def reloading(self) -> None:
        """Configuration is being taken up; ``ready`` says when that is over."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", keep=True)

    def stopping(self) -> None:
        self._send("STOPPING=1\nSTATUS=stopping", keep=True)

    def feed(self) -> None:
        """The watchdog is fed, if there is one. One that does not get it is not fed later."""
        if self.watchdog_seconds is not None:
            self._send("WATCHDOG=1", keep=False)

    def extend(self, seconds: float) -> None:
        """Starting or stopping goes on: more time, until the next such call."""
        self._send(f"EXTEND_TIMEOUT_USEC={int(seconds * 1e6)}", keep=False)

    def close(self) -> None:
        if self._wire is not None:
            self._wire.socket.close()
            self._wire = None

    def _send(self, message: str, *, keep: bool) -> None:
        if self._wire is None:
            return
        late = list(self._unsent)
        self._unsent.clear()
        for position, text in enumerate([*late, message]):
            try:
                # The package encodes as Latin-1, systemd reads UTF-8.
                self._wire.notify(text.encode().decode("latin-1"))
            except BlockingIOError:  # the manager is busy
                self._unsent.extend([*late[position:], *([message] if keep else [])])
                return
            except OSError as error:
                log.warning("the service manager was not told %r: %s", text, error)


def _line(text: str) -> str:
    """``text`` on one line, as the protocol needs it, and no longer than one cares to read."""
    return " ".join(text.split())[:STATUS_LIMIT]
