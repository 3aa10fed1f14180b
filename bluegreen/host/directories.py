"""The directories of the daemon and of the apps, with their owners and modes.

Below the daemon's own directory, whoever owns a directory could put a link in the place of another
one while root looks: so root follows no link there.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.placeholders import build_cache
from bluegreen.errors import RefusedError
from bluegreen.gate.hold_file import CLOSED, SPECIAL
from bluegreen.host.accounts import Account
from bluegreen.host.places import DAEMON_USER
from bluegreen.host.rendering import render
from bluegreen.layout import AppLayout, Layout
from bluegreen.model import Slot

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
STORE_MODE = 0o600
MARKERS = (SPECIAL, *(slot.value for slot in Slot))


@dataclass(frozen=True, kw_only=True)
class Directory:
    """A directory as it should be."""

    path: Path
    mode: int
    owner: str = DAEMON_USER
    group: str = DAEMON_USER

    @property
    def octal(self) -> str:
        return f"{self.mode:04o}"

    def __str__(self) -> str:
        return f"{self.path} {self.octal} {self.owner}:{self.group}"


def state_directories(layout: Layout, accounts: dict[str, Account]) -> list[Directory]:
    """Those that stay, parents first. ``accounts`` is by the apps' names."""
    # As systemd makes it for bluegreen.service; nginx and the apps find their way through.
    found = [
        Directory(path=layout.state, mode=0o755),
        Directory(path=layout.state / "apps", mode=0o751),
    ]
    for name, account in accounts.items():
        found += _of_app(layout.app(name), account)
    return found


def _of_app(app: AppLayout, account: Account) -> Iterator[Directory]:
    yield Directory(path=app.base, mode=0o751)
    yield Directory(path=app.slots, mode=0o755)
    # What is made here is the group's, so that builds, as the app's user, write in their tree.
    yield Directory(path=app.trees, mode=0o2750, group=account.group)
    yield Directory(path=app.shared, mode=0o750, owner=account.user)
    yield Directory(path=app.backups, mode=0o700, owner=account.user, group=account.group)
    yield Directory(path=app.cache, mode=0o750, group=account.group)
    yield Directory(path=build_cache(app), mode=0o700, owner=account.user, group=account.group)
    yield Directory(path=app.traffic, mode=0o755)
    yield Directory(path=app.wanted, mode=0o755)


def run_directories(layout: Layout, accounts: dict[str, Account]) -> list[Directory]:
    """Those that are made at every boot."""
    found = [
        Directory(path=layout.run, mode=0o755),
        Directory(path=layout.run / "apps", mode=0o755),
        Directory(path=layout.nginx_run, mode=0o755, owner="root", group="root"),
    ]
    for name, account in accounts.items():
        app = layout.app(name)
        found += [
            # The app's own sockets are here, and nginx reaches them.
            Directory(path=app.run, mode=0o3771, group=account.group),
            Directory(path=app.jobs, mode=0o2750, group=account.group),
            Directory(path=app.work, mode=0o2750, group=account.group),
            Directory(path=app.nginx_sockets, mode=0o755, owner="root", group="root"),
        ]
    return found


def tmpfiles(directories: Sequence[Directory]) -> str:
    """The tmpfiles.d(5) file that makes ``directories``."""
    return render("tmpfiles.j2", directories=directories)


def missing(directories: Sequence[Directory], layout: Layout) -> list[Directory]:
    """Which are not there, or not as they should be. Raises RefusedError for a link in the way."""
    return [directory for directory in directories if not _Walk(layout).is_right(directory)]


def make(directories: Sequence[Directory], layout: Layout, made: list[Directory]) -> None:
    """Make each what it should be, and add to ``made`` those that were not there.

    Raises RefusedError for a link in the way, OSError.
    """
    for directory in directories:
        _Walk(layout).make(directory, made)


def unmake(made: Sequence[Directory], marked: Iterable[str], layout: Layout) -> None:
    """Undo `make` and `mark_closed`. What somebody has begun to use stays."""
    for name in marked:
        special = _special(layout, name)
        _Walk(layout).remove(special.path, CLOSED)
        _Walk(layout).remove_directory(special.path)
    for directory in reversed(made):
        _Walk(layout).remove_directory(directory.path)


def unmarked(layout: Layout, apps: Iterable[str]) -> list[str]:
    """The ``apps`` of which no marker says where traffic goes, nor that it goes nowhere."""
    return [name for name in apps if not _Walk(layout).has_any(layout.app(name).traffic, MARKERS)]


def mark_closed(layout: Layout, apps: Iterable[str]) -> None:
    """Mark ``apps`` as the daemon does before their first release, should nginx ask before it."""
    for name in apps:
        special = _special(layout, name)
        _Walk(layout).make(special, [])
        _Walk(layout).add(special.path, CLOSED)


def _special(layout: Layout, app: str) -> Directory:
    """See `bluegreen.traffic.markers.Markers.special`."""
    return Directory(path=layout.app(app).traffic / SPECIAL, mode=0o755)


def is_store_open_to_others(layout: Layout) -> bool:
    """Whether the store is there and somebody but the daemon may read it."""
    with contextlib.suppress(FileNotFoundError):
        return stat.S_IMODE(layout.database.lstat().st_mode) != STORE_MODE
    return False


def close_store(layout: Layout) -> None:
    """Let nobody but the daemon read the store; SQLite gives its other files the same mode."""
    for name in ("", "-wal", "-shm"):
        file = layout.database.with_name(layout.database.name + name)
        with contextlib.suppress(FileNotFoundError):
            opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            try:
                os.fchmod(opened, STORE_MODE)
            finally:
                os.close(opened)


@dataclass(frozen=True)
class _Walk:
    layout: Layout

    def is_right(self, directory: Directory) -> bool:
        try:
            with self._opened(directory.path) as descriptor:
                found = os.fstat(descriptor)
        except FileNotFoundError:
            return False
        return (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid) == (
            directory.mode, *_numbers(directory),
        )  # fmt: skip

    def make(self, directory: Directory, made: list[Directory]) -> None:
        with self._opened(directory.path.parent) as parent:
            with contextlib.suppress(FileExistsError):
                os.mkdir(directory.path.name, mode=0o700, dir_fd=parent)
                made.append(directory)
            descriptor = _enter(directory.path, directory.path.name, parent)
            try:
                # The owner first: a change of owner clears set-group-ID.
                os.fchown(descriptor, *_numbers(directory))
                os.fchmod(descriptor, directory.mode)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.fsync(parent)

    def has_any(self, directory: Path, names: Iterable[str]) -> bool:
        try:
            with self._opened(directory) as descriptor:
                return not set(names).isdisjoint(os.listdir(descriptor))
        except FileNotFoundError:
            return False

    def add(self, directory: Path, name: str) -> None:
        """An empty file of the daemon's, unless there is one of that name."""
        with self._opened(directory) as parent, contextlib.suppress(FileExistsError):
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, 0o644, dir_fd=parent)
            try:
                os.fchown(descriptor, *_numbers(Directory(path=directory / name, mode=0o644)))
            finally:
                os.close(descriptor)
            os.fsync(parent)

    def remove(self, directory: Path, name: str) -> None:
        """A file, if it is there."""
        with contextlib.suppress(OSError, RefusedError), self._opened(directory) as parent:
            os.unlink(name, dir_fd=parent)

    def remove_directory(self, path: Path) -> None:
        """A directory, if it is there and nothing is in it."""
        with contextlib.suppress(OSError, RefusedError), self._opened(path.parent) as parent:
            os.rmdir(path.name, dir_fd=parent)

    @contextlib.contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        """The directory, without following a link below where the state's directory is."""
        start = self.layout.state.parent
        descriptor = os.open(start, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in path.relative_to(start).parts:
                inner = _enter(path, part, descriptor)
                os.close(descriptor)
                descriptor = inner
            yield descriptor
        finally:
            os.close(descriptor)


def _enter(path: Path, name: str, parent: int) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=parent)
    except NotADirectoryError as error:  # what O_NOFOLLOW makes of a link to a directory, too
        raise RefusedError(
            f"{path}: {name} is not a directory, or is a link",
            remedy="see who put it there, and move it away: root follows no link there",
        ) from error


def _numbers(directory: Directory) -> tuple[int, int]:
    return pwd.getpwnam(directory.owner).pw_uid, grp.getgrnam(directory.group).gr_gid
