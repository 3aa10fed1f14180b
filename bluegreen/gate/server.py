"""The gate's side of what nginx and the daemon ask, in as much HTTP as that takes.

``GET /wait/APP`` is answered when the requests of APP wait no more: 204, with the slot in
``X-Bluegreen-Slot``; 503 where they can go nowhere. ``GET /state/APP`` is answered at once.
"""

from __future__ import annotations

import asyncio
import json
import re
import socket
from collections.abc import Iterable
from pathlib import Path

from bluegreen.gate.door import Door
from bluegreen.model import Slot

BACKLOG = 4096  # connections that wait to be accepted, as many as Linux allows by default
HEAD_LIMIT = 8192  # bytes
HEAD_TIMEOUT = 10.0  # seconds
_ASKED = re.compile(rb"GET /(wait|state)/([a-z][a-z0-9-]{0,62}) HTTP/1\.[01]\r\n")


class Gate:
    """The doors of all apps below the directory ``apps``."""

    def __init__(self, apps: Path) -> None:
        self._apps = apps
        self._doors: dict[str, Door] = {}

    def door(self, app: str) -> Door:
        if app not in self._doors:
            self._doors[app] = Door(app, self._apps / app / "traffic")
        return self._doors[app]

    async def serve(self, listeners: Iterable[socket.socket]) -> None:
        """Until cancelled, or the process ends."""
        loop = asyncio.get_running_loop()
        servers = [
            await loop.create_unix_server(
                lambda: Conversation(self), sock=listener, backlog=BACKLOG
            )
            for listener in listeners
        ]
        await asyncio.gather(*(server.serve_forever() for server in servers))


class Conversation(asyncio.Protocol):
    """One connection: one question and one answer."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._door: Door | None = None
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what create_unix_server makes
        self._transport = transport
        self._too_late = asyncio.get_running_loop().call_later(HEAD_TIMEOUT, transport.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._too_late.cancel()
        if self._door is not None:
            self._door.forget(self)

    def data_received(self, data: bytes) -> None:
        if self._door is not None:
            return
        self._head += data
        if b"\r\n\r\n" not in self._head:
            if len(self._head) > HEAD_LIMIT:
                self._transport.abort()
            return
        self._too_late.cancel()
        asked = _ASKED.match(self._head)
        self._head = b""
        if asked is None:
            self._reply("400 Bad Request")
            return
        door = self._gate.door(asked[2].decode())
        if asked[1] == b"state":
            self._say_state(door)
            return
        self._door = door
        door.wait(self)

    def answer(self, slot: Slot | None) -> None:
        """See `Waiting.answer`."""
        if slot is None:
            self._reply("503 Service Unavailable")
        else:
            self._reply("204 No Content", f"X-Bluegreen-Slot: {slot.value}\r\n")

    def _say_state(self, door: Door) -> None:
        try:
            held = door.held()
        except OSError as error:
            self._reply("500 Internal Server Error", body=f"{error}\n")
            return
        until = None if held is None else held.until
        self._reply("200 OK", body=json.dumps({"until": until, "waiting": door.waiting}))

    def _reply(self, status: str, header: str = "", body: str = "") -> None:
        self._transport.write(f"HTTP/1.0 {status}\r\n{header}\r\n{body}".encode())
        self._transport.close()
