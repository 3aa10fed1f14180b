"""Archives into trees: the kind is told by the first bytes, whatever the file is called."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from bluegreen.sources.archive_rules import Bounds
from bluegreen.sources.decompression import Decompressed
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.tar_archive import unpack_tar
from bluegreen.sources.unpacked_tree import UnpackedTree
from bluegreen.sources.zip_archive import unpack_zip

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")


def unpack(raw: BinaryIO, tree: Path, *, bounds: Bounds, strip: int | None, stop: Stop) -> None:
    """Fill the not yet existing ``tree`` from the archive that ``raw`` holds. Blocking.

    tar as it is or compressed by gzip, bzip2, xz or, with Python 3.14, zstd; and zip. ``strip``:
    see UnpackedTree. Raises RefusedArchiveError, and OSError when ``tree`` cannot be written; then
    it may be there by halves.
    """
    raw.seek(0)
    is_zip = raw.read(4) in _ZIP
    raw.seek(0)
    unpacked = UnpackedTree(tree, bounds, strip, stop)
    if is_zip:
        unpack_zip(raw, unpacked, stop)
    else:
        unpack_tar(Decompressed(raw, bounds, stop), unpacked)
    unpacked.finish()
