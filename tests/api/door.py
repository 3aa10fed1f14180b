"""A daemon that listens on TCP too, for the tests of who may ask."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.ports import kernel_ports
from tests.stack import Stack, stack

SCOPES = ("read", "deploy", "switch", "admin")


@dataclass
class Door:
    """``tokens`` are by what they were made with."""

    stack: Stack
    port: int
    tcp: aiohttp.ClientSession
    unix: aiohttp.ClientSession
    tokens: dict[tuple[str, ...], str] = field(default_factory=dict)
    guests: int = 0

    async def token(self, scope: str, *apps: str) -> str:
        """A token of that scope, for those apps; the same one whenever it is asked for."""
        if (scope, *apps) not in self.tokens:
            made = await self.make(scopes=[scope], apps=list(apps))
            self.tokens[(scope, *apps)] = made["token"]
        return self.tokens[(scope, *apps)]

    async def make(self, **body: Any) -> Any:
        async with self.unix.post("/v1/tokens", json=body) as response:
            assert response.status == 200, await response.text()
            return await response.json()

    async def ask(
        self, method: str, path: str, token: str | None, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """Status and document, asked over TCP from an address that nobody has asked from yet."""
        self.guests += 1
        headers.setdefault("X-Forwarded-For", f"198.18.{self.guests // 250}.{self.guests % 250}")
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        async with self.tcp.request(method, path, json=body, headers=headers) as response:
            return response.status, json.loads(await response.text() or "null")

    def configure(self, text: str) -> None:
        """``[api]`` with ``text`` in it, to be taken up by a reload."""
        self.stack.layout.daemon_file.write_text(f"[api]\n{text}\n")

    async def reload(self) -> tuple[int, Any]:
        async with self.unix.post("/v1/reload") as response:
            return response.status, await response.json(content_type=None)

    def usual(self) -> str:
        return f'listen = "127.0.0.1:{self.port}"\ntrusted_proxies = ["127.0.0.1"]'

    def events(self, kind: str) -> list[dict[str, Any]]:
        """What was recorded of that kind, in order; with its ``app``."""
        with contextlib.closing(sqlite3.connect(self.stack.layout.database)) as connection:
            rows = connection.execute(
                "SELECT app, data FROM events WHERE kind = ? ORDER BY id", (kind,)
            ).fetchall()
        return [{"app": app, **json.loads(data)} for app, data in rows]


@contextlib.asynccontextmanager
async def open_door() -> AsyncIterator[Door]:
    """With an app that has v1 and v2, traffic on v2, and one that has nothing yet."""
    async with stack() as built:
        built.write_app(services=("api",), watch="0.3s")
        built.write_app("shop", services=("api",))
        [port] = kernel_ports(1)
        connector = aiohttp.UnixConnector(str(built.layout.control_socket))
        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{port}") as tcp,
            aiohttp.ClientSession("http://bluegreen", connector=connector) as unix,
        ):
            door = Door(stack=built, port=port, tcp=tcp, unix=unix)
            door.configure(door.usual())
            await built.serve()
            await built.deploy("v1")
            await built.deploy("v2")
            yield door


async def raw(port: int, content: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection over which ``content`` was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(content)
    return reader, writer
