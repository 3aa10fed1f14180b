"""Failed authentication: counted, and slower with every failure of an address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from bluegreen.api.origin import guest_of
from bluegreen.config.api_section import IpAddress
from bluegreen.errors import OverloadedError

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1  # seconds before the second attempt, doubled with each failure …
LONGEST_DELAY = 5.0  # … up to this
FORGOTTEN_AFTER = 900.0  # seconds without a failure
MOST_ADDRESSES = 4096
MOST_WAITING = 8  # attempts of one address …
MOST_THROUGH = 24  # … and of one proxy, that are past their delay: fewer than are compared at most
SAY_AGAIN_AFTER = 1.0  # seconds between two lines of the log on what comes through one proxy


@dataclass
class _Address:
    failures: int = 0
    last: float = 0.0  # time.monotonic() of the last failure
    waiting: int = 0
    said: float = 0.0  # time.monotonic() of the last line of the log
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Attempts:
    """One attempt of an address at a time, and each after the delay that its failures earned.

    An address is one as `guest_of` has it. What comes through a proxy is counted for that, too:
    every process of its host can say that it comes from anywhere.
    """

    def __init__(self) -> None:
        self.failed = 0  # since the daemon was started
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, address: IpAddress, proxy: IpAddress | None = None) -> AsyncIterator[None]:
        """Wait until an attempt may be made. Raises OverloadedError where too many wait."""
        record, through = self._records(address, proxy)
        if record.waiting >= MOST_WAITING:
            raise OverloadedError(
                f"too many attempts from {address} wait for their turn",
                remedy="ask with a token that is right; after failed attempts each takes longer",
            )
        with _counted(record):
            async with record.turn:
                await asyncio.sleep(delay(record.failures))
                # Those that wait for their delay take nobody's place.
                if through is None:
                    yield
                    return
                if through.waiting >= MOST_THROUGH:
                    raise OverloadedError(
                        f"too many attempts through {proxy} wait to be compared",
                        remedy="ask again in a few seconds",
                    )
                with _counted(through):
                    yield

    def fail(self, address: IpAddress, why: str, proxy: IpAddress | None = None) -> None:
        """Count a failed attempt, and say so in the log: of an address, at every power of two."""
        self.failed += 1
        record, through = self._records(address, proxy)
        now = time.monotonic()
        for one in (record, through):
            if one is not None:
                one.failures += 1
                one.last = now
        if record.failures & (record.failures - 1):
            return
        if through is not None:
            if now - through.said < SAY_AGAIN_AFTER:
                return
            through.said = now
        log.warning(
            "failed authentication from %s%s: %s (attempt %d of it, %d of all)",
            address, "" if through is None else f" through {proxy} ({through.failures})", why,
            record.failures, self.failed,
        )  # fmt: skip

    def _records(
        self, address: IpAddress, proxy: IpAddress | None
    ) -> tuple[_Address, _Address | None]:
        through = None if proxy is None else self._record(f"through {guest_of(proxy)}")
        return self._record(guest_of(address)), through

    def _record(self, key: str) -> _Address:
        record = self._addresses.setdefault(key, _Address())
        self._addresses.move_to_end(key)
        if record.failures and time.monotonic() - record.last > FORGOTTEN_AFTER:
            record.failures = 0
        if len(self._addresses) > MOST_ADDRESSES:
            self._forget_one()
        return record

    def _forget_one(self) -> None:
        """The one that was heard of least lately, of those that nobody waits on."""
        for key, record in self._addresses.items():
            if not record.waiting:
                del self._addresses[key]
                return


@contextlib.contextmanager
def _counted(record: _Address) -> Iterator[None]:
    record.waiting += 1
    try:
        yield
    finally:
        record.waiting -= 1


def delay(failures: int) -> float:
    """Seconds that an attempt waits after so many failures."""
    if not failures:
        return 0.0
    return float(min(FIRST_DELAY * 2 ** min(failures - 1, 30), LONGEST_DELAY))
