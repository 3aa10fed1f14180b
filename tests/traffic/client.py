"""A keep-alive client that never retries, and one that asks once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from tests.waiting import PATIENCE, eventually


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: str


async def read_reply(reader: asyncio.StreamReader, *, head_only: bool = False) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    status_line, *lines = head.strip().split("\r\n")
    pairs = (line.partition(": ") for line in lines)
    headers = {name.lower(): value for name, _, value in pairs}
    if head_only:
        body = b""
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    else:
        body = await reader.read()
    return Reply(int(status_line.split()[1]), headers, body.decode())


async def ask(
    port: int,
    path: str = "/",
    *,
    method: str = "GET",
    headers: Mapping[str, str | None] | None = None,
    body: bytes = b"",
    version: str = "1.1",
) -> Reply:
    """One request on a connection of its own."""
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            given = {"Host": "shop.test", "Connection": "close", **(headers or {})}  # None: without
            if body:
                given["Content-Length"] = str(len(body))
            lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
            writer.write(f"{method} {path} HTTP/{version}\r\n{lines}\r\n".encode() + body)
            with contextlib.suppress(ConnectionError):
                await writer.drain()
            return await read_reply(reader, head_only=method == "HEAD")
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@dataclass
class Load:
    """Keep-alive POSTs, none of them sent twice."""

    port: int
    path: str = "/"
    answers: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def running(self, connections: int = 8) -> AsyncIterator[Load]:
        stop = asyncio.Event()
        tasks = [
            asyncio.create_task(self._post(stop), name=f"load {number}")
            for number in range(connections)
        ]
        try:
            yield self
        finally:
            stop.set()
            await asyncio.gather(*tasks)

    async def until(self, count: int) -> None:
        """Wait until so many more answers have come."""
        goal = len(self.answers) + count
        await eventually(lambda: len(self.answers) >= goal, f"{count} more answers")

    async def _post(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                await self._converse(reader, writer, stop)
            except (OSError, EOFError) as error:
                self.failures.append(repr(error))
            finally:
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            writer.write(
                f"POST {self.path} HTTP/1.1\r\nHost: shop.test\r\n"
                "Content-Length: 5\r\n\r\nhello".encode()
            )
            reply = await asyncio.wait_for(read_reply(reader), PATIENCE)
            if reply.status == 200:
                self.answers.append(reply.body)
            else:
                self.failures.append(f"status {reply.status}")
            if reply.headers.get("connection") == "close":
                return
