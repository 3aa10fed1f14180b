"""Visitors who write numbered rows through nginx, and remember which were acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.operations.data import servers
from tests.stack import Stack
from tests.waiting import end_tasks, eventually

THINK = 0.01  # seconds between the writes of one visitor
WRITERS = 3
_numbers = itertools.count(1)  # of all visitors of a process: the next ones write other rows
TIMEOUT = 60.0  # seconds for one write: one that is held is late, and has not failed


@dataclass
class Writes:
    """What was acknowledged, and what was answered instead."""

    stack: Stack
    acknowledged: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    async def some_more(self, count: int = 5) -> None:
        """Returns once so many more have been acknowledged."""
        until = len(self.acknowledged) + count
        await eventually(lambda: len(self.acknowledged) >= until, "writes go on")

    def expect_none_lost(self) -> None:
        """All that was acknowledged is there, once; no write has failed."""
        there = Counter(servers(self.stack))
        assert self.failures == []
        assert [name for name in self.acknowledged if there[name] != 1] == []

    async def _write(self, session: aiohttp.ClientSession, headers: dict[str, str]) -> None:
        while True:
            name = f"row {next(_numbers)}"
            body: dict[str, Any] = {"name": name, "address": "x"}
            try:
                async with session.post("/api/servers", json=body, headers=headers) as answer:
                    if answer.status == 201:
                        self.acknowledged.append(name)
                    else:
                        self.failures.append(f"{name}: {answer.status}")
            except (aiohttp.ClientError, TimeoutError) as error:
                self.failures.append(f"{name}: {type(error).__name__}: {error}")
            await asyncio.sleep(THINK)


@contextlib.asynccontextmanager
async def writing(stack: Stack) -> AsyncIterator[Writes]:
    """Some visitors at once, each of whom is answered before it is ended."""
    writes = Writes(stack)
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with aiohttp.ClientSession(stack.url(), timeout=timeout) as session:
        login = {"user": "admin", "password": "monitor"}
        async with session.post("/api/login", json=login) as answer:
            headers = {"Authorization": f"Bearer {(await answer.json())['token']}"}
        tasks = [
            asyncio.create_task(writes._write(session, headers), name=f"writer {number}")
            for number in range(WRITERS)
        ]
        try:
            await writes.some_more()
            yield writes
        finally:
            await end_tasks(tasks)
