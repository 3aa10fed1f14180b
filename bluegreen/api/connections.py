"""Connections: how many there may be, and how long one may take to say what it wants."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bluegreen.api.problems import unheard

log = logging.getLogger(__name__)

HEAD_TIMEOUT = 10.0  # seconds in which the head of a request, once begun, has to be whole
KEEP_ALIVE = 75.0  # seconds between two requests of a connection
HANDSHAKE_TIMEOUT = 10.0  # seconds
GOODBYE_TIMEOUT = 2.0  # seconds for the end of TLS
SILENCE_TIMEOUT = 60_000  # milliseconds in which what is sent over TCP has to be taken
AT_ONCE = 64  # connections taken before others have their turn
PAUSE = 1.0  # seconds without new connections where the process has no descriptor left
BACKLOG = 1024

_LATE = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Content-Length: 0\r\n\r\n"
)
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


# What answers, given what a connection has sent; None: nothing does by this way.
ShortWay = Callable[[asyncio.BaseTransport, bytes], Coroutine[Any, Any, bytes] | None]


class Connection(web.RequestHandler):
    """aiohttp's, with a limit for the head of a request, and somebody who hears of its end.

    What takes the short way is not given to aiohttp at all; from the first that is, all is.
    """

    __slots__ = ("_answering", "_early", "_gone", "_head_timer", "_short_way")

    def __init__(
        self,
        server: web.Server,
        gone: Callable[[], None],
        short_way: ShortWay | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            server, loop=asyncio.get_running_loop(), keepalive_timeout=KEEP_ALIVE, **options
        )
        self._gone = gone
        self._head_timer: asyncio.TimerHandle | None = None
        self._short_way = short_way
        self._answering: asyncio.Task[None] | None = None  # by the short way
        self._early = b""  # what came meanwhile

    @property
    def is_idle(self) -> bool:
        """Whether it has asked for nothing that is not answered yet."""
        return self._waiter is not None and not self._messages and self._answering is None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        if self._answering is not None:
            self._early += data
            if self.transport is not None:
                self.transport.pause_reading()
            return
        if self._short_way is not None and self._goes_short(self._short_way, data):
            return
        before = self._request_count
        super().data_received(data)
        if self._request_count != before:
            self._head_is_here()
        elif self.is_idle and self._head_timer is None:
            self._expect_head()

    def _goes_short(self, way: ShortWay, data: bytes) -> bool:
        transport = self.transport
        answer = None
        # Who does not take its answers gets no more of them by a way that does not wait for that.
        if transport is not None and not (self._close or transport.get_write_buffer_size()):
            answer = way(transport, data)
        if answer is None:
            self._short_way = None
            return False
        self._head_is_here()
        self._rest_from_now()
        self._answering = asyncio.create_task(self._answer(answer), name="delivery")
        return True

    async def _answer(self, answer: Coroutine[Any, Any, bytes]) -> None:
        content = await answer
        self._answering = None
        if self.transport is None or self._force_close:
            return
        self.transport.write(content)
        self._rest_from_now()
        if self._early:
            early, self._early = self._early, b""
            self.transport.resume_reading()
            self.data_received(early)

    def _rest_from_now(self) -> None:
        """aiohttp looks at this when it would end a connection that rests."""
        self._next_keepalive_close_time = self._loop.time() + KEEP_ALIVE

    async def shutdown(self, timeout: float | None = 15.0) -> None:
        if self._answering is not None:
            await asyncio.wait([self._answering], timeout=timeout)
        await super().shutdown(timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)
        self._gone()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what comes to no route: a head that cannot be read, an unknown Expect."""
        super().handle_error(request, status, exc, message)  # which has it in the log
        if isinstance(exc, UnicodeError):  # of bytes in Expect, which aiohttp would repeat
            status, message = 417, "Expect is not 100-continue"
        response = unheard(status, message or "")
        response.force_close()
        return response

    def drop(self) -> None:
        """End it now."""
        if (transport := self.transport) is not None:
            self.force_close()
            transport.abort()

    def _expect_head(self) -> None:
        self._head_timer = self._loop.call_later(HEAD_TIMEOUT, self._is_late)

    def _head_is_here(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _is_late(self) -> None:
        self._head_timer = None
        if self.is_idle and self.transport is not None:
            self.transport.write(_LATE)
            self.force_close()


@dataclass(frozen=True, kw_only=True)
class Room:
    """How many connections there may be: in all, of one ``Guest``, and of one that is a proxy."""

    in_all: int
    of_one: int
    of_proxy: int = 0


@dataclass(frozen=True)
class Proxy:
    """A guest that brings others, whom it limits: of its own, those that are idle make place."""

    address: str

    def __str__(self) -> str:
        return f"the proxy {self.address}"


Guest = Hashable | None  # an address, a user or a proxy; None is not counted by itself


class Listener:
    """A listening socket whose connections are counted from the moment they are taken.

    Where there is no room, the one that has been idle longest makes place.
    """

    def __init__(
        self,
        listening: socket.socket,
        make: Callable[[Callable[[], None]], Connection],
        guest: Callable[[socket.socket], Guest],
        room: Room,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
    ) -> None:
        self._socket = listening
        self._make = make
        self._guest = guest
        self._room = room
        self._tls = tls
        # By number, the oldest first, and whose each is.
        self._connections: dict[int, tuple[Connection, Guest]] = {}
        self._number = 0
        self._of: Counter[Guest] = Counter()
        self._beginning: set[asyncio.Task[None]] = set()
        self._pause: asyncio.TimerHandle | None = None
        self.refused = 0  # connections

    def open(self) -> None:
        """Take connections from now on."""
        self._socket.setblocking(False)
        self._socket.listen(BACKLOG)
        asyncio.get_running_loop().add_reader(self._socket, self._take)

    def close(self) -> None:
        """Take no more; those that there are go on. The socket stays open."""
        asyncio.get_running_loop().remove_reader(self._socket)
        if self._pause is not None:
            self._pause.cancel()
        for task in self._beginning:
            task.cancel()

    def _take(self) -> None:
        for _ in range(AT_ONCE):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno in _NO_ROOM:
                    self._rest(error)
                    return
                raise
            connection.setblocking(False)
            try:
                guest = self._guest(connection)
            except OSError:  # it has hung up
                connection.close()
                continue
            if self._admits(guest):
                self._begin(connection, guest)
            else:
                self._turn_away(connection, guest)

    def _rest(self, error: OSError) -> None:
        log.error(
            "no more connections are taken for %g s: %s", PAUSE, os.strerror(error.errno or 0)
        )
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._socket)
        self._pause = loop.call_later(PAUSE, loop.add_reader, self._socket, self._take)

    def _admits(self, guest: Guest) -> bool:
        if isinstance(guest, Proxy):
            if self._of[guest] >= self._room.of_proxy:
                return self._make_place(lambda whose: whose == guest)
        elif guest is not None and self._of[guest] >= self._room.of_one:
            return False
        if len(self._connections) < self._room.in_all:
            return True
        return self._make_place(lambda _: True)

    def _make_place(self, may_go: Callable[[Guest], bool]) -> bool:
        for connection, whose in self._connections.values():
            transport = connection.transport
            if transport is None or transport.is_closing():
                continue
            if connection.is_idle and may_go(whose):
                connection.drop()
                return True
        return False

    def _turn_away(self, connection: socket.socket, guest: Guest) -> None:
        self.refused += 1
        if self.refused & (self.refused - 1) == 0:
            log.warning(
                "connection of %s turned away: %d of %d are in use, %d of them its own (%d so far)",
                guest, len(self._connections), self._room.in_all, self._of[guest], self.refused,
            )  # fmt: skip
        with contextlib.suppress(OSError):
            if self._tls() is None:
                connection.send(_FULL)
        connection.close()

    def _begin(self, connection: socket.socket, guest: Guest) -> None:
        self._number += 1
        number = self._number
        self._of[guest] += 1

        def gone() -> None:
            if self._connections.pop(number, None) is not None:
                self._of[guest] -= 1
                if not self._of[guest]:
                    del self._of[guest]

        protocol = self._make(gone)
        self._connections[number] = protocol, guest
        task = asyncio.create_task(self._connect(connection, protocol), name="new connection")
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)
        task.add_done_callback(lambda _: None if protocol.transport is not None else gone())

    async def _connect(self, connection: socket.socket, protocol: Connection) -> None:
        tls = self._tls()
        if connection.family != socket.AF_UNIX:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, SILENCE_TIMEOUT)
        limits = (
            {"ssl_handshake_timeout": HANDSHAKE_TIMEOUT, "ssl_shutdown_timeout": GOODBYE_TIMEOUT}
            if tls is not None
            else {}
        )
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, connection, ssl=tls, **limits
            )
        except OSError as error:  # those of TLS are some, too
            log.debug("a connection did not come about: %s", error)
