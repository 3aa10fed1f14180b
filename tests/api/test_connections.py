"""Connections are counted, and none may take as long as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from bluegreen.api import connections
from bluegreen.api.connections import Connection, Guest, Listener, Proxy, Room
from tests.waiting import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """A listener whose requests are answered once ``go`` is set."""

    def __init__(self, room: Room, guest: Guest, tls: ssl.SSLContext | None) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.began = 0
        self._server = web.Server(self._answer)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        make = partial(Connection, self._server)
        self.listener = Listener(self._socket, make, lambda _: guest, room, lambda: tls)

    async def _answer(self, request: web.BaseRequest) -> web.Response:
        self.began += 1
        await self.go.wait()
        return web.Response(text=f"{len(await request.read())} bytes")

    async def connect(
        self, content: bytes = b""
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(content)
        return reader, writer

    async def end(self) -> None:
        self.listener.close()
        self._socket.close()
        await self._server.shutdown(1)


@contextlib.asynccontextmanager
async def served(
    *, in_all: int = 10, of_one: int = 10, of_proxy: int = 10, guest: Guest = "somebody",
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[Served]:  # fmt: skip
    built = Served(Room(in_all=in_all, of_one=of_one, of_proxy=of_proxy), guest, tls)
    built.listener.open()
    try:
        yield built
    finally:
        await built.end()


async def head_of(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        return await reader.readline()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Whatever comes, until the connection ends."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
        return b""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.2)
    monkeypatch.setattr(connections, "HANDSHAKE_TIMEOUT", 0.2)


@pytest.mark.parametrize("content", [b"", b"GET / HT", REQUEST[:-2]], ids=repr)
@pytest.mark.usefixtures("impatient")
async def test_a_head_that_does_not_end_is_not_waited_for(content: bytes) -> None:
    async with served() as server:
        reader, writer = await server.connect(content)
        assert (await ended(reader)).startswith(b"HTTP/1.1 408 ")
        writer.close()
        assert server.began == 0


@pytest.mark.usefixtures("impatient")
async def test_a_head_that_comes_byte_by_byte_is_not_waited_for() -> None:
    async with served() as server:
        reader, writer = await server.connect(b"GET /")
        answer = asyncio.create_task(ended(reader))

        async def drip() -> None:
            with contextlib.suppress(ConnectionError):
                while not answer.done():
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        await drip()
        assert (await answer).startswith(b"HTTP/1.1 408 ") or not answer.result()
        writer.close()


@pytest.mark.usefixtures("impatient")
async def test_a_connection_may_rest_between_requests_and_each_head_has_its_time() -> None:
    async with served() as server:
        reader, writer = await server.connect(REQUEST)
        assert await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
        late = asyncio.get_running_loop().time() + 3 * connections.HEAD_TIMEOUT
        await eventually(lambda: asyncio.get_running_loop().time() > late, "it has rested")
        writer.write(REQUEST)
        await eventually(lambda: server.began == 2, "the second request is answered")
        writer.write(REQUEST[:10])
        assert b"HTTP/1.1 408 " in await ended(reader)
        writer.close()


async def test_one_guest_has_so_many_connections_and_as_many_again_once_they_end() -> None:
    async with served(of_one=2) as server:
        first, second = await server.connect(REQUEST), await server.connect(REQUEST)
        assert await head_of(first[0]) == b"HTTP/1.1 200 OK\r\n"
        third = await server.connect()
        assert (await ended(third[0])).startswith(b"HTTP/1.1 503 ")
        assert server.listener.refused == 1
        for _, writer in (first, second, third):
            writer.close()

        async def taken() -> bool:
            reader, writer = await server.connect(REQUEST)
            try:
                return await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
            except ConnectionError:
                return False
            finally:
                writer.close()

        await eventually(taken, "there is room again")


async def test_whoever_is_not_counted_has_all_the_room() -> None:
    async with served(of_one=1, guest=None) as server:
        both = [await server.connect(REQUEST) for _ in range(2)]
        for reader, writer in both:
            assert await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
            writer.close()


@pytest.mark.parametrize(
    "room", [{"in_all": 2}, {"of_proxy": 2, "of_one": 0, "guest": Proxy("127.0.0.1")}]
)
async def test_where_no_room_is_left_what_is_idle_makes_place_and_what_is_busy_does_not(
    room: dict[str, Any],
) -> None:
    async with served(**room) as server:
        idle = await server.connect(REQUEST)
        assert await head_of(idle[0]) == b"HTTP/1.1 200 OK\r\n"
        server.go.clear()
        busy = await server.connect(REQUEST)
        await eventually(lambda: server.began == 2, "it is busy")
        new = await server.connect(REQUEST)
        await ended(idle[0])
        await eventually(lambda: server.began == 3, "the new one is served in its place")
        turned_away = await server.connect(REQUEST)
        assert (await ended(turned_away[0])).startswith(b"HTTP/1.1 503 ")
        server.go.set()
        for reader, writer in (busy, new):
            assert await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
            writer.close()
        for _, writer in (idle, turned_away):
            writer.close()


@pytest.mark.usefixtures("impatient")
async def test_a_handshake_that_does_not_end_takes_room_for_a_time_only() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    async with served(in_all=1, of_one=1, tls=tls) as server:
        silent = await server.connect()
        await ended(silent[0])
        noisy = await server.connect(b"this is no TLS at all\r\n")
        await ended(noisy[0])
        await eventually(lambda: not server.listener._connections, "nothing is counted any more")
        for _, writer in (silent, noisy):
            writer.close()


async def test_without_descriptors_it_rests_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PAUSE", 0.05)
    async with served() as server:
        real: Callable[[], tuple[socket.socket, object]] = server._socket.accept
        fails = iter([OSError(24, "Too many open files")])

        class Short:
            """The socket, which at first has no descriptor to give."""

            def accept(self) -> tuple[socket.socket, object]:
                for error in fails:
                    raise error
                return real()

            def fileno(self) -> int:
                return server._socket.fileno()

        server.listener._socket = Short()  # type: ignore[assignment]
        reader, writer = await server.connect(REQUEST)
        assert await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
        writer.close()
