"""A service that behaves as a file in its tree says: ``python behaving.py PORT SLOT VERSION``.

``behaviour.json``: ``errors`` (a share of answers that are 500), ``after`` (seconds from the first
visitor until they begin) and ``delay`` (seconds that an answer takes). Probes, of ``/health``, are
answered well, but while there is the file ``ill``, by its path. Every answer names slot and
version.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path


class Service:
    """All connections of one process."""

    def __init__(self, slot: str, version: str) -> None:
        asked = json.loads(Path("behaviour.json").read_text())
        self._errors = asked.get("errors", 0.0)
        self._after = asked.get("after", 0.0)
        self._delay = asked.get("delay", 0.0)
        self._ill = Path(asked.get("ill", "/nowhere"))
        self._body = json.dumps({"slot": slot, "version": version}).encode()
        self._first: float | None = None
        self._owed = 0.0
        self._answering = 0
        self.idle = asyncio.Event()  # nothing that was begun is not answered yet
        self.idle.set()

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                self._answering += 1
                self.idle.clear()
                try:
                    await self._answer(head, writer)
                finally:
                    self._answering -= 1
                    if not self._answering:
                        self.idle.set()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, writer: asyncio.StreamWriter) -> None:
        status = 503 if self._ill.exists() else 200
        if status == 200 and b" /health " not in head.split(b"\r\n")[0]:
            status = self._status()
            await asyncio.sleep(self._delay)
        writer.write(
            b"HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (status, len(self._body), self._body)
        )

    def _status(self) -> int:
        now = time.monotonic()
        self._first = self._first or now
        if now < self._first + self._after:
            return 200
        self._owed += self._errors
        if self._owed < 1:
            return 200
        self._owed -= 1
        return 500


async def serve(port: int, slot: str, version: str) -> None:
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    service = Service(slot, version)
    server = await asyncio.start_server(service.converse, "127.0.0.1", port, backlog=1024)
    async with server:
        await ended.wait()
        server.close()
        await service.idle.wait()  # for as long as whoever ends it waits for that


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), *sys.argv[2:4]))
