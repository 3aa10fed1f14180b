"""Headers of tar archives as nearly all members have them, read by a shorter way than tarfile's."""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple

BLOCK = 512  # bytes
_ENCODING, _ERRORS = "utf-8", "surrogateescape"
_DIRECTORY = b"5"
_NUMBERS = 100  # where the mode begins, after the name: tar(5)
# mode, uid, gid, size, mtime, checksum, type, link, magic
_USUAL = re.compile(
    rb"(0[0-7]{6})\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})[\0 ]([0-7]{11})[\0 ]([0-7]{6})\0 "
    rb"([05])\0{100}ustar(?:\x0000|  \0)"
)
_DEVICE, _PREFIX = slice(329, 345), slice(345, 500)
_NO_DEVICE = (b"\0" * 16, b"0000000\x000000000\0")
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
    match = _USUAL.match(block, _NUMBERS)
    if match is None or block[_DEVICE] not in _NO_DEVICE or len(block) != BLOCK:
        return None
    mode, size, changed, checksum, kind = match.groups()
    # Adler's first half is the sum, and one; of half a block it stays below the modulus.
    total = (zlib.adler32(block[:256]) & 0xFFFF) + (zlib.adler32(block[256:]) & 0xFFFF) - 2
    if int(checksum, 8) != total - sum(block[_SUM]) + 8 * ord(" "):
        return None
    text = block[:_NUMBERS].rstrip(b"\0")
    if b"\0" in text or not text:
        return None
    if prefix := block[_PREFIX].partition(b"\0")[0]:
        text = b"%b/%b" % (prefix, text)
    is_directory = kind == _DIRECTORY
    if not is_directory and text.endswith(b"/"):
        return None
    return Usual(
        text.decode(_ENCODING, _ERRORS), is_directory, int(mode, 8), int(size, 8), int(changed, 8)
    )
