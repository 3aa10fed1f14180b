"""Small real backends for a slot."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from aiohttp import WSMsgType, web


class Backend:
    """An app that says its name, and what it received."""

    def __init__(self, name: str, port: int | None = None, socket: Path | None = None) -> None:
        self.name = name
        self.port = port
        self.socket = socket
        self.posts = 0

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Backend]:
        app = web.Application(client_max_size=2**30)
        app.router.add_get("/headers", self._headers)
        app.router.add_get("/redirect", self._redirect)
        app.router.add_get("/failing", self._failing)
        app.router.add_get("/ws/echo", self._echo)
        app.router.add_route("*", "/{path:.*}", self._name)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            if self.port is not None:
                await web.TCPSite(runner, "127.0.0.1", self.port).start()
            elif self.socket is not None:
                self.socket.parent.mkdir(parents=True, exist_ok=True)
                await web.UnixSite(runner, str(self.socket)).start()
            yield self
        finally:
            await runner.cleanup()

    async def _name(self, request: web.Request) -> web.Response:
        self.posts += request.method == "POST"
        size = 0
        async for chunk in request.content.iter_chunked(65536):
            size += len(chunk)
        return web.Response(text=f"{self.name} {size}", headers={"X-Backend": self.name})

    async def _headers(self, request: web.Request) -> web.Response:
        return web.json_response({key.lower(): value for key, value in request.headers.items()})

    async def _redirect(self, request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async def _failing(self, request: web.Request) -> web.Response:
        return web.Response(status=int(request.query["status"]), text="the app's own words")

    async def _echo(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(f"{self.name} {message.data}")
        return socket


Converse = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def raw_backend(port: int, converse: Converse) -> AsyncIterator[None]:
    """A server that treats every connection as ``converse`` does, until it is no longer needed."""
    conversations: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        conversations.add(task)
        try:
            with contextlib.suppress(TimeoutError, asyncio.IncompleteReadError, ConnectionError):
                await converse(reader, writer)
        except asyncio.CancelledError:
            pass  # the test is over
        finally:
            conversations.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    async with server:
        yield
        for task in tuple(conversations):
            task.cancel()
        if conversations:
            await asyncio.wait(tuple(conversations))


async def read_request(reader: asyncio.StreamReader) -> bytes:
    """The body of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
    return await reader.readexactly(int(length or 0))


class ClosingBackend:
    """Answers ``requests`` requests a connection, says so in the last answer, and closes it."""

    def __init__(self, *, requests: int) -> None:
        self._requests = requests
        self.served = 0

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for number in range(1, self._requests + 1):
            await read_request(reader)
            self.served += 1
            connection = b"Connection: close\r\n" if number == self._requests else b""
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + connection + b"\r\nok")
            await writer.drain()
