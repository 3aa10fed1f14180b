"""Archives into trees: the kind is told by the first bytes, whatever the file is called."""

from __future__ import annotations

import hashlib
from contextlib import closing
from pathlib import Path
from typing import BinaryIO

from bluegreen.sources.archive_rules import Bounds
from bluegreen.sources.decompression import Decompressed
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.tar_archive import unpack_tar
from bluegreen.sources.unpacked_tree import UnpackedTree
from bluegreen.sources.zip_archive import unpack_zip

_CHUNK = 2**20
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


class NotTheArchiveError(Exception):
    """It has not the SHA-256 that it should have."""


def unpack(
    raw: BinaryIO,
    tree: Path,
    *,
    bounds: Bounds,
    strip: int | None,
    stop: Stop,
    sha256: str | None = None,
) -> None:
    """Fill the not yet existing ``tree`` from the archive that ``raw`` holds. Blocking.

    tar as it is or compressed by gzip, bzip2, xz or, with Python 3.14, zstd; and zip. ``strip``:
    see UnpackedTree. With ``sha256``, the bytes that were unpacked are those that were hashed.
    Raises RefusedArchiveError, NotTheArchiveError, and OSError when ``tree`` cannot be written;
    then it may be there by halves.
    """
    raw.seek(0)
    is_zip = raw.read(4) in _ZIP
    raw.seek(0)
    hashed = _Hashed(raw)
    unpacked = UnpackedTree(tree, bounds, strip, stop)
    if is_zip:
        # Read here and there, and so twice.
        while hashed.read(_CHUNK):
            stop.check()
        hashed.check(sha256)
        unpack_zip(raw, unpacked, stop)
    else:
        with closing(Decompressed(hashed, bounds, stop)) as content:
            unpack_tar(content, unpacked)
        hashed.check(sha256)
    unpacked.finish()


class _Hashed:
    """What is read of ``raw``, from its beginning to its end, is hashed."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw, self._digest = raw, hashlib.sha256()

    def read(self, size: int) -> bytes:
        data = self._raw.read(size)
        self._digest.update(data)
        return data

    def check(self, sha256: str | None) -> None:
        if sha256 is not None and self._digest.hexdigest() != sha256:
            raise NotTheArchiveError
