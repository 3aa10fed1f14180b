"""One archive over the network into a file, taken up again where it was cut off."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from bluegreen.sources.disk_space import free_bytes, mebibytes
from bluegreen.sources.web import Kind, Web, WebError, read_some, shown

ATTEMPTS = 6
FIRST_ATTEMPTS = 2  # while nothing has begun to come: what is cached may do
_BUFFER = 2**20  # bytes, written at a time

_RANGE = re.compile(r"bytes (\d{1,18})-\d{1,18}/(\d{1,18}|\*)")


class NoRoomError(Exception):
    """The archive is larger than what is free; ``needed`` in bytes."""

    def __init__(self, needed: int) -> None:
        super().__init__(f"{needed} bytes are needed")
        self.needed = needed


@dataclass(frozen=True, kw_only=True)
class Downloaded:
    """What was written; ``sha256`` in hexadecimal digits, ``etag`` a strong one or None."""

    size: int
    sha256: str
    etag: str | None


class Download:
    """Of ``url`` to the new file ``target``, of at most ``most_bytes``."""

    def __init__(
        self,
        web: Web,
        url: str,
        target: Path,
        *,
        most_bytes: int,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self._web, self._url, self._target, self._most = web, url, target, most_bytes
        self._headers = headers or {}
        self._descriptor = -1
        self._size, self._digest = 0, hashlib.sha256()
        self._etag: str | None = None
        self._begun = False

    async def run(self, *, unless: str | None = None) -> Downloaded | None:
        """Write it, flushed to disk; None where the server still has what has the ETag ``unless``.

        Raises WebError, NoRoomError, and OSError when the file cannot be written.
        """
        self._descriptor = await asyncio.to_thread(
            os.open, self._target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
        )
        try:
            for attempt in range(ATTEMPTS):
                try:
                    if not await self._attempt(unless):
                        return None
                    break
                except WebError as error:
                    most = ATTEMPTS if self._begun else FIRST_ATTEMPTS
                    if not error.passing or attempt + 1 >= most:
                        raise
                await asyncio.sleep(self._web.limits.pause * 2**attempt)
            await asyncio.to_thread(os.fsync, self._descriptor)
        finally:
            os.close(self._descriptor)
        return Downloaded(size=self._size, sha256=self._digest.hexdigest(), etag=self._etag)

    async def _attempt(self, unless: str | None) -> bool:
        """Take it to its end; False where it was not sent, as it is known already."""
        headers = dict(self._headers)
        if self._size and self._etag:
            headers |= {"Range": f"bytes={self._size}-", "If-Range": self._etag}
        elif unless:
            headers["If-None-Match"] = unless
        async with self._web.request(self._url, headers=headers) as response:
            if response.status == 304 and "If-None-Match" in headers:
                return False
            total = await self._begin(response)
            await self._receive(response)
        if total is not None and self._size < total:
            raise self._failed("it was cut off")
        return True

    async def _begin(self, response: aiohttp.ClientResponse) -> int | None:
        """Be where the answer goes on; how many bytes there will be, where it says so."""
        length = response.content_length
        if response.status == 206:
            match = _RANGE.fullmatch(response.headers.get("Content-Range", ""))
            same = _strong(response) in (None, self._etag)
            if match is None or int(match[1]) != self._size or not same:
                self._etag = None  # so that the next attempt asks for all of it
                raise self._failed("it went on with another part than was asked for")
            total = None if match[2] == "*" else int(match[2])
        elif response.status == 200:
            await asyncio.to_thread(self._start_afresh)
            self._etag, total = _strong(response), length
        else:
            self._etag = None
            raise self._failed(f"it answered {response.status}")
        self._begun = True
        expected = self._size + (length or 0)
        self._check_size(max(expected, total or 0))
        if await asyncio.to_thread(free_bytes, self._target.parent) < (length or 0):
            raise NoRoomError(length or 0)
        return total

    async def _receive(self, response: aiohttp.ClientResponse) -> None:
        """Whatever comes is kept, also of an answer that is cut off."""
        waiting = bytearray()
        try:
            while piece := await read_some(response, self._url):
                waiting += piece
                self._check_size(self._size + len(waiting))
                if len(waiting) >= _BUFFER:
                    taken, waiting = bytes(waiting), bytearray()
                    await asyncio.to_thread(self._write, taken)
        except WebError as error:
            if error.passing:
                await asyncio.to_thread(self._write, bytes(waiting))
            raise
        await asyncio.to_thread(self._write, bytes(waiting))

    def _start_afresh(self) -> None:
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        os.ftruncate(self._descriptor, 0)
        self._size, self._digest = 0, hashlib.sha256()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self._digest.update(data)
        self._size += len(data)

    def _check_size(self, size: int) -> None:
        if size > self._most:
            raise WebError(
                f"{shown(self._url)} is larger than max_size allows, {mebibytes(self._most)}",
                kind=Kind.REFUSED,
                remedy="if that is right, raise max_size in [source]",
            )

    def _failed(self, why: str) -> WebError:
        return WebError(f"{shown(self._url)}: {why}", passing=True)


def _strong(response: aiohttp.ClientResponse) -> str | None:
    """The ETag, if it promises the same bytes (RFC 9110, 8.8.3)."""
    etag = response.headers.get("ETag", "")
    return etag if re.fullmatch(r'"[\x21\x23-\x7e]{1,200}"', etag) else None
