"""A release's tree copied beside a copy of the data, so that it can run on that instead.

What leads to the real data, or to the tree itself, leads to the copies: links, and paths that a
build has written into text files (scripts of a virtual environment, ``.pth`` and ``.env`` files).
Files are copied and never linked, as what is written through a second name changes the first.
All of this blocks on the disk.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bluegreen.data.databases import NoRoomError
from bluegreen.sources.disk_space import is_full, shortage

READ = 4 * 2**20  # bytes of a file in which paths are looked for; a larger one is no script
_PERMISSIONS = 0o777  # set-ID bits mean nothing in a copy, and the sandbox of a job forbids them
_CLONE = 0x40049409  # FICLONE of linux/fs.h: the copy shares its blocks until one of them changes


@dataclass(frozen=True, kw_only=True)
class ReleaseCopy:
    """``tree`` becomes ``copy``; ``leads`` are directories, each with what stands in for it."""

    tree: str
    copy: str
    leads: Mapping[str, str]


def copy_release(what: ReleaseCopy) -> int:
    """Copy it; returns how many files there are. Raises NoRoomError, and OSError."""
    leads = _Leads({what.tree: what.copy, **what.leads})
    try:
        return _copy_directory(Path(what.tree), Path(what.copy), leads)
    except OSError as error:
        if is_full(error):
            raise NoRoomError(
                "the disk has no room for a second copy of the old version",
                detail=[shortage(Path(what.copy))],
                remedy='free some space there, or do without: rehearse = "migrations" in '
                "[migrations]",
            ) from error
        raise


class _Leads:
    """Where paths lead from now on."""

    def __init__(self, leads: Mapping[str, str]) -> None:
        self._leads = {os.fsencode(path): os.fsencode(to) for path, to in leads.items()}
        # The longest first, as one may be inside another; and whole names, not their beginnings.
        names = sorted(self._leads, key=len, reverse=True)
        self._named = re.compile(b"(?:%s)(?![A-Za-z0-9_.-])" % b"|".join(map(re.escape, names)))

    def of(self, text: bytes) -> bytes:
        """``text`` with the paths in it replaced."""
        return self._named.sub(lambda match: self._leads[match[0]], text)

    def of_link(self, link: Path, text: str) -> str:
        """What a link says in the copy. A relative one stays, unless it leaves the release."""
        if os.path.isabs(text):
            return os.fsdecode(self.of(os.fsencode(text)))
        whole = os.path.normpath(link.parent / text)
        led = os.fsdecode(self.of(os.fsencode(whole)))
        inside = os.path.normpath(Path(os.fsdecode(self.of(os.fsencode(link.parent)))) / text)
        return text if led == inside else led


def _copy_directory(source: Path, target: Path, leads: _Leads) -> int:
    target.mkdir(mode=0o700)
    count = 0
    with os.scandir(source) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path, copy = source / entry.name, target / entry.name
        if entry.is_symlink():
            copy.symlink_to(leads.of_link(path, os.readlink(path)))
        elif entry.is_dir():
            count += _copy_directory(path, copy, leads)
        elif entry.is_file():
            _copy_file(path, copy, leads)
            count += 1
    # Last, as it may be read-only; but whoever has copied it has to be able to remove it.
    target.chmod(source.stat().st_mode & _PERMISSIONS | stat.S_IRWXU)
    return count


def _copy_file(source: Path, target: Path, leads: _Leads) -> None:
    with source.open("rb") as read, target.open("xb") as written:
        status = os.fstat(read.fileno())
        text = read.read() if status.st_size <= READ else b""
        led = text if b"\0" in text else leads.of(text)
        if led != text:
            written.write(led)
        elif not _clone(read.fileno(), written.fileno()):
            read.seek(0)
            shutil.copyfileobj(read, written, READ)
    target.chmod(status.st_mode & _PERMISSIONS)
    # Python takes the time of a source for a sign of whether what it has compiled of it holds.
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))


def _clone(source: int, target: int) -> bool:
    """Whether the file system could let ``target`` share the blocks of ``source``."""
    try:
        fcntl.ioctl(target, _CLONE, source)
    except OSError as error:
        if is_full(error):
            raise
        return False
    return True
