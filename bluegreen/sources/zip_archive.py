"""Zip archives into a tree, by the rules of tar archives."""

from __future__ import annotations

import calendar
import stat
import struct
import zipfile
import zlib
from typing import BinaryIO

from bluegreen.sources.archive_rules import LONGEST_PATH, RefusedArchiveError, shown
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.unpacked_tree import UnpackedTree

MOST_DIRECTORY = 32 * 2**20  # bytes of the list at the end, all of which is read into memory
MOST_RATIO = 1100  # deflate reaches 1,032
_END = b"PK\x05\x06"
_END_SIZE = 22  # bytes, without the comment
_LONGEST_COMMENT = 2**16
_UNIX = 3  # as "made by"
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_MALFORMED = (zipfile.BadZipFile, zlib.error, EOFError, ValueError, LookupError, struct.error)


def unpack_zip(raw: BinaryIO, tree: UnpackedTree, stop: Stop) -> None:
    """All of it, or RefusedArchiveError. Blocking."""
    _check_directory(raw)
    try:
        with zipfile.ZipFile(raw) as archive:
            for member in archive.infolist():
                stop.check()
                _lay(member, archive, tree)
    except (*_MALFORMED, NotImplementedError, OverflowError) as error:
        raise RefusedArchiveError(f"it is damaged: {error}") from error


def _check_directory(raw: BinaryIO) -> None:
    """Look at the size of the list of members before anybody reads the list."""
    size = raw.seek(0, 2)
    raw.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT))
    end = raw.read()
    at = end.rfind(_END)
    if at < 0 or len(end) < at + _END_SIZE:
        raise RefusedArchiveError("it is cut off: it lacks its end")
    # 4 GiB, with which zip64 says that the size is elsewhere, is as much too large.
    (listed,) = struct.unpack_from("<L", end, at + 12)
    if listed > MOST_DIRECTORY:
        raise RefusedArchiveError(f"it lists more than {MOST_DIRECTORY} bytes of names")
    raw.seek(0)


def _lay(member: zipfile.ZipInfo, archive: zipfile.ZipFile, tree: UnpackedTree) -> None:
    name = member.filename
    _check(member)
    mode = member.external_attr >> 16 if member.create_system == _UNIX else 0
    kind = stat.S_IFMT(mode)
    if member.is_dir() or kind == stat.S_IFDIR:
        tree.directory(name, mode or 0o755)
    elif kind == stat.S_IFLNK:
        if member.file_size > LONGEST_PATH:
            raise RefusedArchiveError(f"{shown(name)}: a link of {member.file_size} bytes")
        with archive.open(member) as content:
            target = content.read(LONGEST_PATH + 1)
        tree.link(name, target.decode(errors="surrogateescape"))
    elif kind in (0, stat.S_IFREG):
        changed = calendar.timegm((*member.date_time, 0, 0, 0))
        with archive.open(member) as content:
            tree.file(name, mode, changed, member.file_size, content.read)
            if content.read(1):
                raise RefusedArchiveError(f"{shown(name)}: more than it says to hold")
    else:
        raise RefusedArchiveError(
            f"{shown(name)}: neither a file, a directory nor a link (a device, a pipe, …)"
        )


def _check(member: zipfile.ZipInfo) -> None:
    name = member.filename
    if member.flag_bits & 0x1:
        raise RefusedArchiveError(f"{shown(name)}: it is encrypted")
    if "\\" in name:
        raise RefusedArchiveError(f"{shown(name)}: a name with backslashes")
    if member.compress_type not in _METHODS:
        raise RefusedArchiveError(f"{shown(name)}: compressed in another way than deflate")
    if member.file_size > MOST_RATIO * (member.compress_size + 1):
        raise RefusedArchiveError(f"{shown(name)}: a bomb, larger than it can have been")
