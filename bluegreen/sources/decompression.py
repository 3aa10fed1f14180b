"""The bytes of a compressed file, in order, counted, and bounded while they are made.

What a file decompresses to is decided by who made it: a few kilobytes may become terabytes, and a
dictionary of gigabytes may be asked for. So bytes come in pieces, and both have a limit.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from bluegreen.sources.archive_rules import Bounds, RefusedArchiveError
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.read_ahead import ReadAhead

PIECE = 2**20  # bytes, the most that are decompressed at a time
_TAIL = 512  # bytes, with which a tar archive ends that is whole
_INPUT = 2**16  # bytes, read at a time
MOST_MEMORY = 2**28  # bytes, of an xz dictionary; xz -9 needs a quarter of it
MOST_RATIO = 200  # times as large as what it was made of …
FREE_BYTES = 64 * 2**20  # … beyond these; text compresses 10 times, zeros 1,000 times and more


class Readable(Protocol):
    """What is read from its beginning to its end."""

    def read(self, size: int, /) -> bytes: ...


class _Decompressor(Protocol):
    """As bz2 and lzma have it."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Gunzip:
    """zlib with the manners of the others."""

    needs_input = True

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        found = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail
        return found


def _unxz() -> _Decompressor:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=MOST_MEMORY)


def _unzstd() -> _Decompressor:
    try:
        module = importlib.import_module("compression.zstd")
    except ImportError:
        raise RefusedArchiveError(
            "it is compressed with zstd, which needs Python 3.14 or newer to run bluegreen; "
            "gzip, xz, bzip2 and zip are read by every one"
        ) from None
    found: _Decompressor = module.ZstdDecompressor()
    return found


_KINDS: tuple[tuple[bytes, Callable[[], _Decompressor]], ...] = (
    (b"\x1f\x8b", _Gunzip),
    (b"BZh", bz2.BZ2Decompressor),
    (b"\xfd7zXZ\0", _unxz),
    (b"\x28\xb5\x2f\xfd", _unzstd),
)


class Decompressed:
    """Reads like a file, forward only, whatever ``raw`` is compressed with; see ``_KINDS``.

    ``read`` gives fewer bytes than asked for at the end only. Raises RefusedArchiveError on what is
    damaged, cut off, or goes beyond the bounds. To be closed: it reads ahead of what is asked for.
    """

    def __init__(self, raw: Readable, bounds: Bounds, stop: Stop) -> None:
        self._raw, self._bounds, self._stop = raw, bounds, stop
        self._head = head = raw.read(8)
        self._make = next((make for magic, make in _KINDS if head.startswith(magic)), None)
        self._inner: _Decompressor | None = None
        self._begun = False
        self._piece, self._at, self._position = b"", 0, 0
        self._made, self._taken = 0, 0  # bytes out, and bytes in
        self._pieces = ReadAhead(self._make_piece)
        self.tail = b""  # of what is not compressed, the last bytes that were read

    @property
    def is_compressed(self) -> bool:
        return self._make is not None

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> int:
        """Forward only, as whoever made the archive could have it read for ever otherwise."""
        if position < self._position:
            raise RefusedArchiveError("it says of itself that it goes backwards")
        while self._position < position:
            step = min(position - self._position, len(self._piece) - self._at)
            self._at += step
            self._position += step
            if self._position < position and not self._fill():
                break
        return self._position

    def read(self, size: int) -> bytes:
        at, end = self._at, self._at + size
        if end <= len(self._piece):
            self._at = end
            self._position += size
            return self._piece[at:end]
        pieces, left = [], size
        while left:
            piece = self._piece[self._at : self._at + left]
            self._at += len(piece)
            self._position += len(piece)
            pieces.append(piece)
            left -= len(piece)
            if left and not self._fill():
                break
        return b"".join(pieces)

    def peek(self, size: int) -> bytes:
        """What ``read`` will give; fewer bytes at the end, or where a piece ends."""
        if self._at == len(self._piece):
            self._fill()
        return self._piece[self._at : self._at + size]

    def drain(self) -> None:
        """Read what is left: only at its very end a compressed file shows that it is whole."""
        while self.read(PIECE):
            pass

    def close(self) -> None:
        """``raw`` is closed by who has opened it."""
        self._pieces.close()

    def _fill(self) -> bool:
        self._piece, self._at = self._pieces.next(), 0
        if self._make is None and self._piece:
            piece = self._piece
            self.tail = piece[-_TAIL:] if len(piece) >= _TAIL else (self.tail + piece)[-_TAIL:]
        return bool(self._piece)

    def _make_piece(self) -> bytes:
        self._stop.check()
        try:
            piece = self._next()
        except (zlib.error, lzma.LZMAError, EOFError, ValueError) as error:
            raise RefusedArchiveError(f"it is damaged: {error}") from error
        except OSError as error:
            if error.errno is not None:
                raise
            raise RefusedArchiveError(f"it is damaged: {error}") from error  # bz2 says it so
        self._made += len(piece)
        if self._made > self._bounds.unpacked:
            raise RefusedArchiveError(
                f"it holds more than max_unpacked allows: {self._bounds.unpacked} bytes"
            )
        if self._made > FREE_BYTES + MOST_RATIO * self._taken:
            raise RefusedArchiveError(
                f"it is a bomb: it unpacks to more than {MOST_RATIO} times its size"
            )
        return piece

    def _next(self) -> bytes:
        if self._make is None:
            return self._input(PIECE)
        while True:
            if self._inner is None or self._inner.eof:
                data = self._between()
                if not data:
                    return b""
                self._inner, self._begun = self._make(), True
            else:
                data = self._input(_INPUT) if self._inner.needs_input else b""
            found = self._inner.decompress(data, PIECE)
            if found:
                return found
            if not data and not self._inner.eof and self._inner.needs_input:
                raise RefusedArchiveError("it is cut off: it ends in the middle")

    def _between(self) -> bytes:
        """The beginning of the next part, as several may follow each other, with zeros between."""
        data = self._inner.unused_data if self._inner is not None else b""
        while not (data := data.lstrip(b"\0") if self._begun else data):
            if not (data := self._input(_INPUT)):
                return b""
        return data

    def _input(self, size: int) -> bytes:
        data, self._head = self._head + self._raw.read(size), b""
        self._taken += len(data)
        return data
