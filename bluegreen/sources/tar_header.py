"""Headers of tar archives as nearly all members have them, read by a shorter way than tarfile's."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

BLOCK = 512  # bytes
_ENCODING, _ERRORS = "utf-8", "surrogateescape"
_DIRECTORY = b"5"
# name, mode, uid, gid, size, mtime, checksum, type, link, magic, users, device, prefix: tar(5).
_USUAL = re.compile(
    rb"([^\0].{99})(0[0-7]{6})\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})[\0 ]([0-7]{11})[\0 ]([0-7]{6})\0 "
    rb"([05])\0{100}ustar(?:\x0000|  \0).{64}.{16}(.{155}).{12}",
    re.DOTALL,
)
_SUM = slice(148, 156)  # where the sum of all bytes stands, which counts as blanks itself


class Usual(NamedTuple):
    """A file or a directory; ``changed`` in Unix seconds."""

    name: str
    is_directory: bool
    mode: int
    size: int
    changed: int


def usual(block: bytes) -> Usual | None:
    """What a header says, if it is of a file or a directory as all of today's tars write them.

    None: of another kind, or with anything unusual about it; then ``tarfile`` decides.
    """
    if (match := _USUAL.fullmatch(block)) is None:
        return None
    name, mode, size, changed, checksum, kind, prefix = match.groups()
    # Adler's first half is the sum, and one; of half a block it stays below the modulus.
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    if int(checksum, 8) != total - sum(block[_SUM]) + 8 * ord(" "):
        return None
    text = name.rstrip(b"\0")
    if b"\0" in text:
        text = text.partition(b"\0")[0]
    if prefix[0]:
        text = b"%b/%b" % (prefix.partition(b"\0")[0], text)
    is_directory = kind == _DIRECTORY
    if not is_directory and text.endswith(b"/"):
        return None
    return Usual(
        text.decode(_ENCODING, _ERRORS), is_directory, int(mode, 8), int(size, 8), int(changed, 8)
    )
