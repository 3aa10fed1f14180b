"""Failed authentication: counted, and slower with every failure of an address."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from bluegreen.config.api_section import IpAddress
from bluegreen.errors import OverloadedError

log = logging.getLogger(__name__)

FIRST_DELAY = 0.1  # seconds before the second attempt, doubled with each failure …
LONGEST_DELAY = 5.0  # … up to this
FORGOTTEN_AFTER = 900.0  # seconds without a failure
MOST_ADDRESSES = 4096
MOST_WAITING = 8  # attempts of one address


@dataclass
class _Address:
    failures: int = 0
    last: float = 0.0  # time.monotonic() of the last failure
    waiting: int = 0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Attempts:
    """One attempt of an address at a time, and each after the delay that its failures earned.

    An IPv6 address stands for its /64, of which whoever has one has all.
    """

    def __init__(self) -> None:
        self.failed = 0  # since the daemon was started
        self._addresses: OrderedDict[str, _Address] = OrderedDict()

    @contextlib.asynccontextmanager
    async def turn(self, address: IpAddress) -> AsyncIterator[None]:
        """Wait until an attempt may be made. Raises OverloadedError where too many wait."""
        record = self._record(address)
        if record.waiting >= MOST_WAITING:
            raise OverloadedError(
                f"too many attempts from {address} wait for their turn",
                remedy="ask with a token that is right; after failed attempts each takes longer",
            )
        record.waiting += 1
        try:
            async with record.turn:
                await asyncio.sleep(delay(record.failures))
                yield
        finally:
            record.waiting -= 1

    def fail(self, address: IpAddress, why: str) -> None:
        """Count a failed attempt, and say so in the log: of an address, at every power of two."""
        self.failed += 1
        record = self._record(address)
        record.failures += 1
        record.last = time.monotonic()
        if record.failures & (record.failures - 1) == 0:
            log.warning(
                "failed authentication from %s: %s (attempt %d of it, %d of all)",
                address, why, record.failures, self.failed,
            )  # fmt: skip

    def _record(self, address: IpAddress) -> _Address:
        key = _key(address)
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


def delay(failures: int) -> float:
    """Seconds that an attempt waits after so many failures."""
    if not failures:
        return 0.0
    return float(min(FIRST_DELAY * 2 ** min(failures - 1, 30), LONGEST_DELAY))


def _key(address: IpAddress) -> str:
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
