"""Taking deliveries up goes before handing them on: senders wait for the one, nobody for the other.

Both take the same processor, and what is on disk is safe.
"""

from __future__ import annotations

import asyncio
import contextlib

GIVE_WAY = 0.25  # seconds that one handing on waits at the most


class Precedence:
    """Deliveries that are being taken up, each in a block of it, and those who let them pass."""

    def __init__(self) -> None:
        self._under_way = 0
        self._free = asyncio.Event()
        self._free.set()

    def __enter__(self) -> None:
        self._under_way += 1
        self._free.clear()

    def __exit__(self, *_: object) -> None:
        self._under_way -= 1
        if not self._under_way:
            self._free.set()

    async def give_way(self) -> None:
        """Return once none is being taken up, or after `GIVE_WAY`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GIVE_WAY):
                await self._free.wait()
