"""Tar archives, compressed or not, into a tree.

By the rules of ``UnpackedTree`` and not by the data filter of ``tarfile``: Debian 12's Python
lacks that, and it looks each path up on the disk. What passes here passes there too: a test
compares the two.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from typing import BinaryIO, cast

from bluegreen.sources.archive_rules import RefusedArchiveError, shown
from bluegreen.sources.decompression import Decompressed
from bluegreen.sources.unpacked_tree import UnpackedTree

MOST_HEADER = 2**20  # bytes, of a long name or of what PAX says of a member; read at once
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
# name, mode, uid, gid, size, mtime, checksum, type, link, magic, users, device, prefix: tar(5).
_USUAL = re.compile(
    rb"([^\0].{99})(0[0-7]{6})\0[0-7]{7}\0[0-7]{7}\0([0-7]{11})[\0 ]([0-7]{11})[\0 ]([0-7]{6})\0 "
    rb"([05])\0{100}ustar(?:\x0000|  \0).{64}.{16}(.{155}).{12}",
    re.DOTALL,
)
# What tarfile raises on archives that are not well-formed.
_MALFORMED = (tarfile.TarError, EOFError, ValueError, LookupError, OverflowError, RecursionError)


class Member(tarfile.TarInfo):
    """A header, whose size is looked at before anybody relies on it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member:
        return cls._usual(buf, encoding, errors) or cls._any(buf, encoding, errors)

    @classmethod
    def _usual(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member | None:
        """As ``tarfile`` reads it, for files and directories as all of today's tars write them.

        Of these are nearly all members, and with them most of the time went by. None: of another
        kind, or with anything unusual about it.
        """
        if len(buf) != tarfile.BLOCKSIZE or (match := _USUAL.fullmatch(buf)) is None:
            return None
        name, mode, size, changed, checksum, kind, prefix = match.groups()
        # The sum of all bytes, with blanks where it stands itself: halves stay below the modulus.
        blank = buf[:148] + b" " * 8 + buf[156:]
        halves = (zlib.adler32(blank[:256]) & 0xFFFF) + (zlib.adler32(blank[256:]) & 0xFFFF)
        if int(checksum, 8) != halves - 2:
            return None
        text = name.partition(b"\0")[0].decode(encoding, errors)
        if before := prefix.partition(b"\0")[0]:
            text = f"{before.decode(encoding, errors)}/{text}"
        if kind == tarfile.REGTYPE and text.endswith("/"):
            return None
        member = cls(text.rstrip("/") if kind == tarfile.DIRTYPE else text)
        member.type, member.chksum = kind, int(checksum, 8)
        member.mode, member.size, member.mtime = int(mode, 8), int(size, 8), int(changed, 8)
        return member

    @classmethod
    def _any(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member:
        member = super().frombuf(buf, encoding, errors)
        if member.size < 0 or (member.type in _EXTENDED and member.size > MOST_HEADER):
            raise RefusedArchiveError(f"{shown(member.name)}: a header of {member.size} bytes")
        return member


def unpack_tar(content: Decompressed, tree: UnpackedTree) -> None:
    """All of it, or RefusedArchiveError. Blocking."""
    try:
        # The type is wider than what is used: it reads, tells, and seeks forward.
        archive = tarfile.TarFile(fileobj=cast(BinaryIO, content), tarinfo=Member)
        while (member := archive.next()) is not None:
            # As ``next`` keeps every member that it has seen.
            archive.members.clear()  # type: ignore[attr-defined]
            _lay(member, content, tree)
        content.drain()
    except _MALFORMED as error:
        raise RefusedArchiveError(f"it is no archive, or damaged: {error}") from error
    if not content.is_compressed and content.tail.strip(b"\0"):
        raise RefusedArchiveError("it is cut off: it lacks its end")


def _lay(member: tarfile.TarInfo, content: Decompressed, tree: UnpackedTree) -> None:
    name = member.name
    if member.issym():
        tree.link(name, member.linkname)
        return
    if member.sparse is not None:
        raise RefusedArchiveError(f"{shown(name)}: a file with holes (tar --sparse)")
    if not (member.isdir() or member.islnk() or member.isreg()):
        raise RefusedArchiveError(
            f"{shown(name)}: neither a file, a directory nor a link (a device, a pipe, …)"
        )
    if member.isdir():
        tree.directory(name, member.mode)
    elif member.islnk():
        tree.hard_link(name, member.linkname)
    else:
        content.seek(member.offset_data)
        tree.file(name, member.mode, member.mtime, member.size, content.read)
