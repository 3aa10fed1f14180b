"""Connections are counted, and none may take as long as it likes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from bluegreen.api import connections
from bluegreen.api.connections import Connection, Guest, Listener, Proxy, Room, ShortWay
from tests.waiting import eventually

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Served:
    """A listener whose requests are answered once ``go`` is set."""

    def __init__(
        self, room: Room, guest: Guest, tls: ssl.SSLContext | None, short_way: ShortWay | None
    ) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.began = 0
        self._server = web.Server(self._answer)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        make = partial(Connection, self._server, short_way=short_way)
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
    tls: ssl.SSLContext | None = None, short_way: ShortWay | None = None,
) -> AsyncIterator[Served]:  # fmt: skip
    built = Served(Room(in_all=in_all, of_one=of_one, of_proxy=of_proxy), guest, tls, short_way)
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
    monkeypatch.setattr(connections, "HEAD_TIMEOUT", 0.8)
    monkeypatch.setattr(connections, "HANDSHAKE_TIMEOUT", 0.8)


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


class Shortly:
    """Answers whatever begins with S by the short way, once ``go`` is set."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.seen: list[bytes] = []

    def takes(
        self, transport: asyncio.BaseTransport, data: bytes
    ) -> Coroutine[Any, Any, bytes] | None:
        self.seen.append(data)
        return self._answer(data) if data.startswith(b"S") else None

    async def _answer(self, data: bytes) -> bytes:
        await self.go.wait()
        return data + b"\n"


async def test_what_comes_early_is_answered_in_its_turn_and_all_after_one_by_the_long_way() -> None:
    way = Shortly()
    async with served(short_way=way.takes) as server:
        reader, writer = await server.connect(b"S1")
        await eventually(lambda: way.seen, "it is being answered")
        writer.write(b"S2")
        await writer.drain()
        [(connection, _)] = server.listener._connections.values()
        await eventually(lambda: connection._early, "the second has come")
        assert not connection.is_idle
        way.go.set()
        assert [await head_of(reader) for _ in range(2)] == [b"S1\n", b"S2\n"]
        await eventually(lambda: connection.is_idle, "both are answered")
        writer.write(REQUEST)
        assert await head_of(reader) == b"HTTP/1.1 200 OK\r\n"
        writer.write(b"S3")
        assert b" 400 Bad Request" in await ended(reader)
        assert way.seen == [b"S1", b"S2", REQUEST]
        writer.close()


@pytest.mark.usefixtures("impatient")
async def test_what_is_begun_on_the_short_way_has_an_answer_at_the_end_and_no_time_of_a_head() -> (
    None
):
    way = Shortly()
    async with served(short_way=way.takes) as server:
        reader, writer = await server.connect(b"S1")
        late = asyncio.get_running_loop().time() + 2 * connections.HEAD_TIMEOUT
        await eventually(lambda: asyncio.get_running_loop().time() > late, "it takes long")
        server._server.pre_shutdown()
        ending = asyncio.create_task(server._server.shutdown(20))
        way.go.set()
        assert await ended(reader) == b"S1\n"
        await ending
        writer.close()


async def test_who_hangs_up_on_the_short_way_is_not_missed() -> None:
    way = Shortly()
    async with served(of_one=1, short_way=way.takes) as server:
        _, writer = await server.connect(b"S1")
        await eventually(lambda: way.seen, "it is being answered")
        writer.close()
        await eventually(lambda: not server.listener._connections, "it is not counted any more")
        way.go.set()
        reader, writer = await server.connect(b"S2")
        assert await head_of(reader) == b"S2\n"
        writer.close()


async def test_one_that_has_only_gone_the_short_way_does_not_rest_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connections, "KEEP_ALIVE", 0.8)  # aiohttp begins to count as it comes
    way = Shortly()
    way.go.set()
    async with served(short_way=way.takes) as server:
        reader, writer = await server.connect(b"S1")
        assert await head_of(reader) == b"S1\n"
        writer.write(b"S2")
        assert await ended(reader) == b"S2\n"
        writer.close()
