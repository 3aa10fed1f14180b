"""The tree that an archive becomes. Nothing in it is ever written through a link.

Links are made last, once the tree is otherwise complete, and each only if it leads nowhere outside
of it: which is decided from what the archive says, not by looking at the disk. This holds without
the filters of ``tarfile``, which not every Python that bluegreen runs on has, and in some of which
there were holes (CVE-2025-4517).
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

from bluegreen.sources.archive_rules import (
    MOST_LINKS,
    Bounds,
    RefusedArchiveError,
    check_target,
    parts_of,
    shown,
)
from bluegreen.sources.interruptible import Stop
from bluegreen.sources.modes import for_group, is_for_group

MOST_HOPS = 40  # links that one leads through, as the kernel has it
_CHUNK = 2**20  # bytes written at a time
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_LATEST = 2**33  # seconds; a time beyond is a mistake
Parts = tuple[str, ...]


class UnpackedTree:
    """Filled by one archive, in a thread. ``strip``: how many leading directories are left out.

    As ``tar --strip-components``: what lies above them is left out too. None: 1 if the archive
    holds one directory and nothing beside it, else 0. Raises RefusedArchiveError, and OSError when
    the tree cannot be written.
    """

    def __init__(self, tree: Path, bounds: Bounds, strip: int | None, stop: Stop) -> None:
        tree.mkdir(parents=True, mode=0o700)
        self._tree, self._bounds, self._strip, self._stop = tree, bounds, strip, stop
        self._group = is_for_group(tree)
        self._made: set[Parts] = set()  # directories
        self._links: dict[Parts, str] = {}
        self._tops: set[str] = set()  # the first two names at the top
        self._flat = False  # whether something other than a directory is at the top
        self._members, self._bytes = 0, 0
        self._kept_modes: dict[int, bool] = {}  # whether files are made with them as they are

    def directory(self, name: str, mode: int) -> None:
        if (parts := self._begin(name, is_directory=True)) is not None:
            self._directory(parts)
            if not self._group:
                os.chmod(self._path(parts), (mode & 0o755) | 0o700)

    def file(
        self, name: str, mode: int, changed: float, size: int, read: Callable[[int], bytes]
    ) -> None:
        """``changed`` in Unix seconds; ``size`` bytes come from ``read``, or it is cut off."""
        self._count_bytes(size)
        parts = self._begin(name)
        if parts is None:
            self._copy(read, size, name, None)
            return
        # Executable by all or by none; set-user-ID and what others might write are dropped.
        usual = 0o755 if mode & 0o100 else 0o644
        if self._group:
            usual = for_group(usual)
        descriptor = self._create(parts, name, usual)
        try:
            self._copy(read, size, name, descriptor)
            self._set_mode(descriptor, usual)
            if 0 <= changed < _LATEST:
                os.utime(descriptor, (changed, changed))
        finally:
            os.close(descriptor)

    def link(self, name: str, target: str) -> None:
        """A symbolic link, which is made by ``finish``."""
        check_target(name, target)
        if (parts := self._begin(name)) is not None:
            self._links[parts] = target
            if len(self._links) > MOST_LINKS:
                raise RefusedArchiveError(f"it holds more than {MOST_LINKS} links")

    def hard_link(self, name: str, target: str) -> None:
        """Another name for a file that the archive has held before."""
        check_target(name, target)
        of = self._stripped(parts_of(target))
        if (parts := self._begin(name)) is None:
            return
        if of is not None and of in self._links:
            self._links[parts] = self._links[of]
            return
        if of is None or of == parts or not self._is_file(of):
            raise RefusedArchiveError(
                f"{shown(name)}: a link to {shown(target)}, which is no file before it"
            )
        self._make_room(parts, name)
        os.link(self._path(of), self._path(parts), follow_symlinks=False)

    def finish(self) -> None:
        """Leave out what is to be, and make the links."""
        if self._members == 0 or not (self._made or self._links or self._tops):
            raise RefusedArchiveError("nothing is in it, or nothing below what strip leaves out")
        links = self._links
        if self._strip is None and len(self._tops) == 1 and not self._flat:
            (top,) = self._tops
            self._hoist(top)
            links = {parts[1:]: target for parts, target in links.items()}
            self._made = {parts[1:] for parts in self._made if len(parts) > 1}
        for parts, target in links.items():
            self._stop.check()
            _follow(parts, links)
            self._directory(parts[:-1])
            try:
                os.symlink(target, self._path(parts))
            except FileExistsError:
                raise _twice("/".join(parts)) from None

    def _hoist(self, top: str) -> None:
        self._directory((top,))  # an archive of links only has not made it
        aside = self._tree / f".bluegreen-{secrets.token_hex(8)}"  # like no name in any release
        os.rename(self._tree / top, aside)
        for child in os.listdir(aside):
            os.rename(aside / child, self._tree / child)
        aside.rmdir()

    def _begin(self, name: str, *, is_directory: bool = False) -> Parts | None:
        """Where it goes; None for what is left out."""
        self._stop.check()
        self._count()
        whole = parts_of(name)
        parts = self._stripped(whole)
        if parts is None:
            if not whole and not is_directory:
                raise RefusedArchiveError(f"{shown(name)}: a file without a name")
            return None
        if len(self._tops) < 2:
            self._tops.add(parts[0])
        self._flat = self._flat or (len(parts) == 1 and not is_directory)
        return parts

    def _stripped(self, parts: Parts) -> Parts | None:
        return parts[self._strip or 0 :] or None

    def _count(self) -> None:
        self._members += 1
        if self._members > self._bounds.members:
            raise RefusedArchiveError(
                f"it holds more than {self._bounds.members} files and directories"
            )

    def _count_bytes(self, size: int) -> None:
        if size < 0:
            raise RefusedArchiveError("it holds a file of less than nothing")
        self._bytes += size
        if self._bytes > self._bounds.unpacked:
            raise RefusedArchiveError(
                f"it holds more than max_unpacked allows: {self._bounds.unpacked} bytes"
            )

    def _directory(self, parts: Parts) -> None:
        """Make it and those above it; every one was made here, and none is a link."""
        if not parts or parts in self._made:
            return
        self._directory(parts[:-1])
        self._count()
        try:
            os.mkdir(self._path(parts))
        except FileExistsError:
            raise _twice("/".join(parts)) from None
        self._made.add(parts)

    def _set_mode(self, descriptor: int, mode: int) -> None:
        """What the umask, or an access list, makes of a mode is the same in all of the tree."""
        if mode not in self._kept_modes:
            self._kept_modes[mode] = stat.S_IMODE(os.fstat(descriptor).st_mode) == mode
        if not self._kept_modes[mode]:
            os.fchmod(descriptor, mode)

    def _create(self, parts: Parts, name: str, mode: int) -> int:
        self._directory(parts[:-1])
        if parts not in self._links:
            try:
                return os.open(self._path(parts), _NEW, mode)
            except FileExistsError:
                pass
        self._make_room(parts, name)
        return os.open(self._path(parts), _NEW, mode)

    def _make_room(self, parts: Parts, name: str) -> None:
        """Of two files of one name the later one counts, as for tar."""
        self._directory(parts[:-1])
        if self._is_file(parts):
            os.unlink(self._path(parts))
        elif parts in self._made or parts in self._links:
            raise _twice(name)

    def _is_file(self, parts: Parts) -> bool:
        try:
            return stat.S_ISREG(os.lstat(self._path(parts)).st_mode)
        except FileNotFoundError:
            return False
        except NotADirectoryError:
            raise _twice("/".join(parts)) from None

    def _path(self, parts: Parts) -> str:
        return f"{self._tree}/{'/'.join(parts)}"

    def _copy(
        self, read: Callable[[int], bytes], size: int, name: str, descriptor: int | None
    ) -> None:
        left = size
        while left > 0:
            self._stop.check()
            data = read(min(left, _CHUNK))
            if not data:
                raise RefusedArchiveError(f"it is cut off in the middle of {shown(name)}")
            left -= len(data)
            if descriptor is not None:
                _write(descriptor, data)


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, memoryview(data)[written:])


def _twice(name: str) -> RefusedArchiveError:
    return RefusedArchiveError(f"{shown(name)}: one name for two things, a file and a directory")


def _follow(link: Parts, links: dict[Parts, str]) -> None:
    """Raise RefusedArchiveError if ``link`` leads out, by itself or through other links."""
    at = list(link[:-1])
    ahead = list(reversed(links[link].split("/")))
    hops = 0
    while ahead:
        part = ahead.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not at:
                name, target = shown("/".join(link)), shown(links[link])
                raise RefusedArchiveError(f"{name}: a link that leads out of the release: {target}")
            at.pop()
            continue
        at.append(part)
        if (further := links.get(tuple(at))) is not None:
            hops += 1
            if hops > MOST_HOPS:
                raise RefusedArchiveError(f"{shown('/'.join(link))}: a link that never arrives")
            at.pop()
            ahead.extend(reversed(further.split("/")))
