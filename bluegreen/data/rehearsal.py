"""A copy of the app's data inside the new release's tree, to which its shared links lead meanwhile.

In that very tree, as builds bake its path in. It is in no slot yet, so nothing that serves follows
these links. All of this blocks on the disk.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bluegreen.data.archive import Say
from bluegreen.data.databases import BESIDE, NoRoomError, copy_database
from bluegreen.errors import DataError
from bluegreen.files import link_atomically
from bluegreen.sources.disk_space import allocated, free_bytes, is_full, shortage
from bluegreen.sources.removal import remove_tree

# Of what is shared and is not backed up: enough for the configuration that commands read.
LARGEST_FILE = 2**20  # bytes
LARGEST_REST = 64 * 2**20  # bytes of all of them


@dataclass(frozen=True, kw_only=True)
class Rehearsal:
    """``copy`` is what stands in for ``shared``; ``links`` are the tree's, into what is shared.

    ``place`` is the directory that holds all that a rehearsal needs, ``copy`` among it.
    """

    tree: str
    shared: str
    place: str
    copy: str
    links: Sequence[str]
    sqlite: Sequence[str]
    files: Sequence[str]


@dataclass
class _Copied:
    left_out: int = 0
    rest: int = 0  # bytes of what is not backed up
    skipped: set[str] = field(default_factory=set)  # paths that are copied in another way


def begin(what: Rehearsal, say: Say) -> int:
    """Copy the data, and lead the tree's links to the copy; how many files were left out.

    Raises DataError, NoRoomError where the disk is full.
    """
    shared, copy = Path(what.shared), Path(what.copy)
    _remove(Path(what.place))
    try:
        sqlite, files = (_real(shared, paths) for paths in (what.sqlite, what.files))
        copied = _Copied(skipped={path + end for path in sqlite for end in ("", *BESIDE)})
        Path(what.place).mkdir(mode=0o700)
        copy.mkdir(mode=0o700)
        _require_room(shared, copy, sqlite)
        for path in sqlite:
            if (shared / path).exists():
                (copy / path).parent.mkdir(parents=True, exist_ok=True)
                copy_database(shared / path, copy / path, lambda _done, _all: None)
                say(f"{path}: copied for the rehearsal")
        for path in files:
            copied.skipped.add(path)
            (copy / path).parent.mkdir(parents=True, exist_ok=True)
            _copy(shared / path, copy / path, what, copied, whole=True)
        _copy_directory(shared, copy, what, copied, whole=False)
    except OSError as error:
        if is_full(error):
            raise _no_room(copy) from error
        raise
    _lead(what, copy)
    return copied.left_out


def _real(shared: Path, paths: Sequence[str]) -> list[str]:
    """The same without links within what is shared, which are copied as links to the copy."""
    top = os.path.realpath(shared)
    real = [Path(os.path.realpath(shared / path)) for path in paths]
    return [
        str(to.relative_to(top)) if to.is_relative_to(top) else path
        for path, to in zip(paths, real, strict=True)
    ]


def end(what: Rehearsal) -> None:
    """Lead the links to what is shared again, on disk, and remove all that was made."""
    _lead(what, Path(what.shared))
    _remove(Path(what.place))


def _lead(what: Rehearsal, to: Path) -> None:
    for link in what.links:
        path = Path(what.tree) / link
        if not path.is_symlink():
            raise DataError(
                f"{path} is no link any more",
                remedy="a build step or a migration has replaced what is shared; correct it",
            )
        link_atomically(path, str(to / link))


def _require_room(shared: Path, copy: Path, sqlite: Sequence[str]) -> None:
    needed = sum(_size(shared / f"{path}{end}") for path in sqlite for end in ("", "-wal"))
    if free_bytes(copy) < needed:
        raise _no_room(copy, needed)


def _no_room(copy: Path, needed: int | None = None) -> NoRoomError:
    return NoRoomError(
        "the disk has no room for the copy that migrations are rehearsed on",
        detail=[shortage(copy, needed)],
        remedy="free some space there, or do without: rehearse = false in [migrations]",
    )


def _remove(place: Path) -> None:
    if os.path.lexists(place):
        remove_tree(place)


def bytes_of(shared: Path, sqlite: Sequence[str], files: Sequence[str]) -> int:
    """What a copy of the data takes; of what is not backed up, what it takes at most."""
    found = LARGEST_REST
    for path in sqlite:
        found += sum(_size(shared / f"{path}{end}") for end in ("", "-wal"))
    for path in files:
        if not (shared / path).is_dir():
            found += _size(shared / path)
            continue
        for directory, _, names in os.walk(shared / path):
            found += sum(allocated(_size(Path(directory) / name)) for name in names)
    return found


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _copy_directory(
    source: Path, target: Path, what: Rehearsal, copied: _Copied, *, whole: bool
) -> None:
    target.mkdir(mode=0o700, exist_ok=True)
    with os.scandir(source) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        if str((source / name).relative_to(what.shared)) not in copied.skipped or whole:
            _copy(source / name, target / name, what, copied, whole=whole)


def _copy(source: Path, target: Path, what: Rehearsal, copied: _Copied, *, whole: bool) -> None:
    try:
        status = source.lstat()
    except FileNotFoundError:
        return  # not there, or gone since
    if stat.S_ISDIR(status.st_mode):
        _copy_directory(source, target, what, copied, whole=whole)
    elif stat.S_ISLNK(status.st_mode):
        _copy_link(source, target, what, copied)
    elif stat.S_ISREG(status.st_mode) and (whole or _is_small(status.st_size, copied)):
        shutil.copy2(source, target)
    else:
        copied.left_out += 1


def _is_small(size: int, copied: _Copied) -> bool:
    if size > LARGEST_FILE or copied.rest + size > LARGEST_REST:
        return False
    copied.rest += size
    return True


def _copy_link(source: Path, target: Path, what: Rehearsal, copied: _Copied) -> None:
    """A link to what is shared leads to the copy; one that leads elsewhere is left out."""
    to = Path(os.path.normpath(source.parent / os.readlink(source)))
    if to.is_relative_to(what.shared):
        target.symlink_to(Path(what.copy) / to.relative_to(what.shared))
    else:
        copied.left_out += 1
