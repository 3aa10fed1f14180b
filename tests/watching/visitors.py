"""Visitors at a steady rate, who never ask twice, and what they met."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from tests.traffic.client import read_reply
from tests.waiting import end_tasks

CONNECTIONS = 32  # enough for answers that take no more than a moment


@dataclass(frozen=True)
class Met:
    """One answer; ``at`` by the monotonic clock. ``status`` 0: none."""

    at: float
    status: int
    version: str


@dataclass
class Visitors:
    """``rate`` requests a second on kept connections, whether the answers are quick or not."""

    port: int
    rate: float
    connections: int = CONNECTIONS
    met: list[Met] = field(default_factory=list)

    def failed(self, version: str | None = None) -> list[Met]:
        return [one for one in self.met if one.status != 200 and version in (None, one.version)]

    @contextlib.asynccontextmanager
    async def coming(self) -> AsyncIterator[Visitors]:
        began = time.monotonic()
        tasks = [
            asyncio.create_task(self._visit(began, number), name=f"visitor {number}")
            for number in range(self.connections)
        ]
        try:
            yield self
        finally:
            await end_tasks(tasks)

    async def _visit(self, began: float, number: int) -> None:
        connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        turn = number
        try:
            while True:
                await asyncio.sleep(max(0.0, began + turn / self.rate - time.monotonic()))
                turn += self.connections
                status, version = 0, ""
                try:
                    if connection is None:
                        connection = await asyncio.open_connection("127.0.0.1", self.port)
                    reader, writer = connection
                    writer.write(b"POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 0\r\n\r\n")
                    reply = await read_reply(reader)
                    status = reply.status
                    with contextlib.suppress(ValueError):
                        version = json.loads(reply.body)["version"]
                except (OSError, asyncio.IncompleteReadError):
                    if connection is not None:
                        connection[1].close()
                    connection = None
                self.met.append(Met(time.monotonic(), status, version))
        finally:
            if connection is not None:
                connection[1].close()
