"""SHA-256 of what is read or written, as it passes by."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import IO, Protocol

from bluegreen.data.manifest import Member

CHUNK = 1024 * 1024  # bytes


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class Digested:
    """A file that is read through this, for its digest."""

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._digest = hashlib.sha256()
        self.bytes = 0

    def read(self, size: int = -1, /) -> bytes:
        data = self._file.read(size)
        self._digest.update(data)
        self.bytes += len(data)
        return data

    @property
    def sha256(self) -> str:
        """Of what was read so far, in hexadecimal."""
        return self._digest.hexdigest()

    def drain(self) -> Member:
        """Read what is left of the file; what all of it was."""
        while self.read(CHUNK):
            continue
        return Member(sha256=self.sha256, bytes=self.bytes)


def digest(path: Path) -> Member:
    """Raises OSError."""
    with path.open("rb") as file:
        return Digested(file).drain()


def sync_and_forget(file: IO[bytes]) -> None:
    """Write ``file`` to disk and drop it from the page cache: what is read next is the disk's."""
    file.flush()
    os.fsync(file.fileno())
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
