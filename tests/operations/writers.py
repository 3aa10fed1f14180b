"""Visitors who write numbered rows through nginx, and what has to be true of the data then."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from tests.operations.data import servers
from tests.stack import Stack
from tests.waiting import eventually

_RUNS = itertools.count(1)  # so that no two rows of a test have one name

THINK = 0.02  # seconds between an answer and the next row of that visitor
LATE = 120.0  # seconds


@dataclass
class Writers:
    """``acknowledged`` are the names of rows that were answered with 201, as they were answered."""

    acknowledged: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # seconds, of each answer

    async def write_more(self, count: int = 5) -> None:
        """Return when so many more rows were acknowledged."""
        wanted = len(self.acknowledged) + count
        await eventually(lambda: len(self.acknowledged) >= wanted, "rows are written")

    def expect_all_there(self, stack: Stack, *, without: frozenset[str] = frozenset()) -> None:
        """Every acknowledged row is there once, but for those that were said to be lost."""
        assert self.failures == []
        found = Counter(name for name in servers(stack) if name.startswith("row "))
        assert [name for name, times in found.items() if times > 1] == []
        assert set(self.acknowledged) - without <= found.keys()


@contextlib.asynccontextmanager
async def writing(stack: Stack, visitors: int = 4) -> AsyncIterator[Writers]:
    """Visitors who write row after row while the block runs; at its end none is under way."""
    writers, ended, run = Writers(), asyncio.Event(), next(_RUNS)
    timeout = aiohttp.ClientTimeout(total=LATE)
    async with aiohttp.ClientSession(stack.url(), timeout=timeout) as session:
        account = {"user": "admin", "password": "monitor"}
        async with session.post("/api/login", json=account) as response:
            headers = {"Authorization": f"Bearer {(await response.json())['token']}"}

        async def write(visitor: int) -> None:
            number = 0
            while not ended.is_set():
                number += 1
                row = {"name": f"row {run}-{visitor}-{number}", "address": "x"}
                began = time.monotonic()
                try:
                    async with session.post("/api/servers", json=row, headers=headers) as answer:
                        if answer.status == 201:
                            writers.acknowledged.append(row["name"])
                        else:
                            writers.failures.append(f"{row['name']}: {answer.status}")
                except (aiohttp.ClientError, TimeoutError) as error:
                    writers.failures.append(f"{row['name']}: {error!r}")
                writers.waits.append(time.monotonic() - began)
                await asyncio.sleep(THINK)

        tasks = [asyncio.create_task(write(n), name=f"writer {n}") for n in range(visitors)]
        try:
            yield writers
        finally:
            ended.set()
            await asyncio.gather(*tasks)
