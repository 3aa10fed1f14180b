"""The held requests of one app: how long they wait, and which slot they go to then."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from bluegreen.gate import hold_file
from bluegreen.gate.hold_file import CLOSED, HOLD, SPECIAL
from bluegreen.model import Address, Hold, Slot

log = logging.getLogger(__name__)

POLL = 0.01  # seconds between looks at the markers while somebody waits
# So many go through between two such looks, 2,500 a second: thousands at once would overflow the
# queue in which a service finds new connections.
AT_ONCE = 25
CONNECT_TIMEOUT = 1.0  # seconds for a service to accept a connection
KNOWN_FOR = 0.5  # seconds for which it counts that a slot answers, or that none does


class Waiting(Protocol):
    """A request that waits."""

    def answer(self, slot: Slot | None) -> None:
        """It may go to ``slot``; None: nowhere."""
        ...


class Door:
    """One app's. ``directory`` holds its markers."""

    def __init__(self, app: str, directory: Path) -> None:
        self._app = app
        self._directory = os.fspath(directory)
        self._special = f"{self._directory}/{SPECIAL}"
        self._waiting: dict[Waiting, None] = {}  # the longest first
        self._watching: asyncio.Task[None] | None = None
        self._identity: tuple[int, int] | None = None  # of the hold that is known
        self._hold: Hold | None = None  # also once it is over
        self._ends = 0.0  # by the monotonic clock: another day on the wall changes nothing
        self._answers: tuple[float, Slot | None] = (-KNOWN_FOR, None)

    @property
    def waiting(self) -> int:
        """How many."""
        return len(self._waiting)

    def held(self) -> Hold | None:
        """The hold that the marker asks for now, over or not. Raises OSError."""
        try:
            found = os.stat(f"{self._special}/{HOLD}")
        except FileNotFoundError:
            self._identity = None
            return None
        identity = (found.st_ino, found.st_mtime_ns)
        if identity != self._identity:
            hold = hold_file.read(self._special)
            if hold is None:
                return None  # it went as we looked
            self._identity, self._hold = identity, hold
            self._ends = time.monotonic() + min(hold.until - time.time(), hold_file.LONGEST_HOLD)
        return self._hold

    def wait(self, request: Waiting) -> None:
        """Answer ``request`` when the hold has ended."""
        self._waiting[request] = None
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch(), name=f"hold of {self._app}")

    def forget(self, request: Waiting) -> None:
        """It waits no more."""
        self._waiting.pop(request, None)

    async def _watch(self) -> None:
        try:
            while self._waiting:
                if not await self._step():
                    await asyncio.sleep(POLL)
        finally:
            self._watching = None

    async def _step(self) -> bool:
        """Let some through, if the hold has ended; whether another step is due at once."""
        try:
            if self.held() is None:
                to = self._named() or await self._answering()
            elif time.monotonic() < self._ends:
                return False
            else:
                to = await self._answering()
        except OSError as error:
            log.error("the markers of %s cannot be read: %s", self._app, error)
            to = None
        for request in list(self._waiting)[:AT_ONCE]:
            del self._waiting[request]
            request.answer(to)
        return not self._waiting

    def _is_closed(self) -> bool:
        return os.path.isfile(f"{self._special}/{CLOSED}")

    def _named(self) -> Slot | None:
        """The slot that the markers name: one, or they say nothing."""
        named = [slot for slot in Slot if os.path.isfile(f"{self._directory}/{slot.value}")]
        return named[0] if len(named) == 1 and not self._is_closed() else None

    async def _answering(self) -> Slot | None:
        """The slot that may serve and does, the one that the markers name first.

        Without the daemon nobody else knows. None: there is none, or the app is closed.
        """
        if self._is_closed():
            return None
        since, slot = self._answers
        if time.monotonic() - since >= KNOWN_FOR:
            slot = await self._look_for_one()
            self._answers = (time.monotonic(), slot)
        return slot

    async def _look_for_one(self) -> Slot | None:
        named = self._named()
        if self._hold is None or not self._hold.addresses:
            return named  # there is nobody to ask
        for slot in (*([] if named is None else [named]), *self._hold.ways):
            if await _each_accepts(self._hold.addresses.get(slot, ())):
                return slot
        log.error("%s: no slot answers, and its requests have waited long enough", self._app)
        return None


async def _each_accepts(services: Iterable[Sequence[Address]]) -> bool:
    """Whether of each service one instance does: nginx asks that in the place of the others."""
    return all(await asyncio.gather(*(_one_accepts(addresses) for addresses in services)))


async def _one_accepts(addresses: Sequence[Address]) -> bool:
    return any(await asyncio.gather(*(_accepts(address) for address in addresses)))


async def _accepts(address: Address) -> bool:
    try:
        async with asyncio.timeout(CONNECT_TIMEOUT):
            if address.socket is not None:
                _, writer = await asyncio.open_unix_connection(address.socket)
            else:
                _, writer = await asyncio.open_connection("127.0.0.1", address.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
