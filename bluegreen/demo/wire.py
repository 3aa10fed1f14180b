"""HTTP/1.1 on a plain socket, as little of it as a load needs.

An HTTP library quietly reconnects and sends a request again when a kept-alive connection turns
out to be closed. A load that counts lost requests must see exactly that, so here nothing is sent
twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bluegreen.demo.report import FailureKind

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*\bchunked", re.IGNORECASE)
_CLOSE = re.compile(rb"\r\nconnection:[^\r]*\bclose\b", re.IGNORECASE)
_READ_BYTES = 64 * 1024


class ExchangeFailed(Exception):  # noqa: N818 - caught by the visitors and counted, never shown
    """A request that did not get its answer."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What the first part of an answer says. ``length`` None: chunked, or until the end."""

    status: int
    length: int | None
    chunked: bool
    closes: bool  # the server announces that it closes the connection after this answer


class Connection:
    """One TCP connection to a server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, address: str, port: int, *, timeout: float) -> Connection:
        """Connects; ExchangeFailed (``connect``) when that fails or takes over ``timeout`` s."""
        try:
            async with asyncio.timeout(timeout):
                return cls(*await asyncio.open_connection(address, port))
        except OSError as error:  # TimeoutError is one
            reason = f"cannot connect to {address}:{port}: {error or 'timed out'}"
            raise ExchangeFailed(FailureKind.CONNECT, reason) from error

    @property
    def ended(self) -> bool:
        """Whether the server has closed or reset it, as far as is known without sending."""
        return self._reader.at_eof() or self._reader.exception() is not None

    async def send(self, request: bytes) -> Head:
        """Sends one request and reads the answer's head; the body is to be read next."""
        self._writer.write(request)
        try:
            raw = await self._reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise ExchangeFailed(
                    FailureKind.SHORT, "the answer ended inside its head"
                ) from error
            raise ExchangeFailed(
                FailureKind.CLOSED, "the connection was closed before an answer"
            ) from error
        except OSError as error:
            raise ExchangeFailed(FailureKind.CLOSED, f"no answer: {error}") from error
        except asyncio.LimitOverrunError as error:
            raise ExchangeFailed(FailureKind.ANSWER, "the answer's head has no end") from error
        return _parse(raw)

    async def body(self, head: Head) -> bytes:
        """The whole body of the answer."""
        if head.length is not None and not head.chunked:
            return await self._exactly(head.length)
        return b"".join([part async for part in self.parts(head)])

    async def parts(self, head: Head) -> AsyncIterator[bytes]:
        """The body of the answer as it arrives."""
        if head.chunked:
            while size := _chunk_size(await self._line()):
                yield await self._exactly(size)
                await self._exactly(2)
            await self._line()
        elif head.length is None:
            while part := await self._some(_READ_BYTES):
                yield part
        else:
            missing = head.length
            while missing:
                part = await self._some(min(missing, _READ_BYTES))
                if not part:
                    reason = f"the answer ended {missing} of {head.length} bytes early"
                    raise ExchangeFailed(FailureKind.SHORT, reason)
                missing -= len(part)
                yield part

    async def close(self) -> None:
        """Ends the connection at once."""
        self._writer.transport.abort()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()

    async def _exactly(self, size: int) -> bytes:
        try:
            return await self._reader.readexactly(size)
        except asyncio.IncompleteReadError as error:
            reason = f"the answer ended {size - len(error.partial)} of {size} bytes early"
            raise ExchangeFailed(FailureKind.SHORT, reason) from error
        except OSError as error:
            raise ExchangeFailed(FailureKind.SHORT, f"the answer broke off: {error}") from error

    async def _some(self, limit: int) -> bytes:
        try:
            return await self._reader.read(limit)
        except OSError as error:
            raise ExchangeFailed(FailureKind.SHORT, f"the answer broke off: {error}") from error

    async def _line(self) -> bytes:
        try:
            return await self._reader.readuntil(b"\r\n")
        except asyncio.IncompleteReadError as error:
            raise ExchangeFailed(
                FailureKind.SHORT, "the answer ended between two chunks"
            ) from error
        except OSError as error:
            raise ExchangeFailed(FailureKind.SHORT, f"the answer broke off: {error}") from error
        except asyncio.LimitOverrunError as error:
            raise ExchangeFailed(FailureKind.ANSWER, "a chunk of the answer has no size") from error


def _parse(raw: bytes) -> Head:
    if not raw.startswith(b"HTTP/1.") or not raw[9:12].isdigit():
        raise ExchangeFailed(FailureKind.ANSWER, f"not an HTTP answer: {raw[:40]!r}")
    length = _LENGTH.search(raw)
    return Head(
        status=int(raw[9:12]),
        length=None if length is None else int(length[1]),
        chunked=_CHUNKED.search(raw) is not None,
        closes=_CLOSE.search(raw) is not None,
    )


def _chunk_size(line: bytes) -> int:
    try:
        return int(line.split(b";")[0], 16)
    except ValueError as error:
        raise ExchangeFailed(FailureKind.ANSWER, f"not a chunk's size: {line[:20]!r}") from error
