"""Tar archives, compressed or not, into a tree.

By the rules of ``UnpackedTree`` and not by the data filter of ``tarfile``: Debian 12's Python
lacks that, and it looks each path up on the disk. What passes here passes there too: a test
compares the two.
"""

from __future__ import annotations

import tarfile
from typing import BinaryIO, cast

from bluegreen.sources.archive_rules import RefusedArchiveError, shown
from bluegreen.sources.decompression import Decompressed
from bluegreen.sources.tar_header import BLOCK, usual
from bluegreen.sources.unpacked_tree import UnpackedTree

MOST_HEADER = 2**20  # bytes, of a long name or of what PAX says of a member; read at once
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}
_IDLE = {"comment"}  # what PAX may say of all members without changing what they are
# What tarfile raises on archives that are not well-formed.
_MALFORMED = (tarfile.TarError, EOFError, ValueError, LookupError, OverflowError, RecursionError)


class Member(tarfile.TarInfo):
    """A header, whose size is looked at before anybody relies on it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Member:
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
            if archive.pax_headers.keys() <= _IDLE:
                archive.offset = _lay_usual(content, tree, archive.offset)
        content.drain()
    except _MALFORMED as error:
        raise RefusedArchiveError(f"it is no archive, or damaged: {error}") from error
    if not content.is_compressed and content.tail.strip(b"\0"):
        raise RefusedArchiveError("it is cut off: it lacks its end")


def _lay_usual(content: Decompressed, tree: UnpackedTree, at: int) -> int:
    """Lay the members from ``at`` on, as long as they are usual ones; where they end.

    With nearly all members, most of the time went by in what ``tarfile`` makes of each.
    """
    while content.seek(at) == at and (head := usual(content.peek(BLOCK))) is not None:
        content.seek(at + BLOCK)
        at += BLOCK
        if head.is_directory:
            tree.directory(head.name, head.mode)
        else:
            tree.file(head.name, head.mode, head.changed, head.size, content.read)
            at += -(-head.size // BLOCK) * BLOCK
    return at


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
