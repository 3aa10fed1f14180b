"""Writing a backup: copies, archive, manifest; then all of it is read back from the disk."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bluegreen.data.archive import Say, write_archive
from bluegreen.data.databases import (
    BESIDE,
    DamagedError,
    NoRoomError,
    Progress,
    check_database,
    copy_database,
)
from bluegreen.data.digests import CHUNK, digest, sync_and_forget
from bluegreen.data.manifest import (
    ARCHIVE,
    LISTING,
    NAME,
    Manifest,
    rows_in_words,
    sqlite_copy,
    write_manifest,
)
from bluegreen.data.ownership import give_as
from bluegreen.data.verification import verify
from bluegreen.errors import DataError
from bluegreen.files import sync_directory, sync_file
from bluegreen.sources.disk_space import allocated, free_bytes, is_full, mebibytes, shortage
from bluegreen.words import counted

PROGRESS_EVERY = 2.0  # seconds


@dataclass(frozen=True, kw_only=True)
class Gathering:
    """What is to be backed up. Paths are inside ``shared``; ``others``: bytes of all else.

    ``directories`` of the draft are made, for programs to write into.
    ``leniently``: what is not there is left out, and a damaged database is copied as it is.
    """

    shared: str
    draft: str
    sqlite: Sequence[str]
    files: Sequence[str]
    directories: Sequence[str] = ()
    others: int = 0
    leniently: bool = False


@dataclass
class Gathered:
    """What is in the draft by now, as the manifest has it."""

    sqlite: dict[str, dict[str, int]] = field(default_factory=dict)
    damaged: list[str] = field(default_factory=list)
    files: dict[str, dict[str, int]] = field(default_factory=dict)


def gather(what: Gathering, say: Say) -> Gathered:
    """Copy the databases, check the copies, and archive the files. Raises DataError."""
    shared, draft = Path(what.shared), Path(what.draft)
    sqlite, files = _present(shared, what)
    needed = what.others + sum(_size_of_database(shared / path) for path in sqlite)
    try:
        if free_bytes(draft) < needed:
            raise NoRoomError("", remedy="")
        found = Gathered()
        for directory in what.directories:
            (draft / directory).mkdir(mode=0o700)
        for path in sqlite:
            _copy(shared / path, draft, path, found, say=say, leniently=what.leniently)
        if files:
            found.files = write_archive(shared, files, draft / ARCHIVE, draft / LISTING, say=say)
    except (NoRoomError, OSError) as error:
        if isinstance(error, OSError) and not is_full(error):
            raise
        needed += sum(_size_of_tree(shared / path) for path in files)
        raise no_room(draft, needed) from error
    return found


def no_room(directory: Path, needed: int | None) -> DataError:
    """The error for a disk that is full."""
    return NoRoomError(
        "the disk has no room for the backup",
        detail=[shortage(directory, needed)],
        remedy="free some space there, or keep fewer backups (keep in [backup]); nothing of it "
        "was left, and the backups that there are were not touched",
    )


def seal(draft: Path, manifest: Manifest, say: Say) -> Manifest:
    """Write the manifest of a draft, all of it to disk, and verify it. Raises DataError."""
    try:
        names = sorted(str(path.relative_to(draft)) for path in draft.rglob("*") if path.is_file())
        members = {name: digest(draft / name) for name in names if name != NAME}
        manifest = replace(manifest, members=members)
        write_manifest(draft, manifest)
        for name in (*names, NAME):
            with (draft / name).open("rb") as file:
                sync_and_forget(file)
        for directory in (draft, *(path for path in draft.rglob("*") if path.is_dir())):
            sync_directory(directory)
    except OSError as error:
        if is_full(error):
            raise no_room(draft, None) from error
        raise
    if damaged := verify(draft):
        raise DataError(
            "what was written to the disk is not what comes back from it",
            detail=damaged,
            remedy="look at the disk (dmesg); the backup was discarded, the others are untouched",
        )
    say(f"verified: {mebibytes(manifest.bytes)} in {counted(len(members), 'file')}")
    return manifest


def reporter(name: str, say: Say) -> Progress:
    """Says how far a copy is, every now and then."""
    said = time.monotonic()

    def report(done: int, total: int) -> None:
        nonlocal said
        if time.monotonic() - said >= PROGRESS_EVERY:
            said = time.monotonic()
            percent = 100 * done // max(total, 1)
            say(f"{name}: {mebibytes(done)} of {mebibytes(total)} ({percent} %)")

    return report


def _present(shared: Path, what: Gathering) -> tuple[list[str], list[str]]:
    """The databases and the files that are there. Raises DataError for one that is not."""
    found: tuple[list[str], list[str]] = [], []
    checks: tuple[tuple[Sequence[str], Callable[[int], bool], str], ...] = (
        (what.sqlite, stat.S_ISREG, "database"),
        (what.files, lambda mode: stat.S_ISREG(mode) or stat.S_ISDIR(mode), "file or directory"),
    )
    for (paths, is_right, kind), there in zip(checks, found, strict=True):
        for path in paths:
            real = Path(os.path.realpath(shared / path))
            if not real.is_relative_to(os.path.realpath(shared)):
                raise DataError(
                    f"{path} leads out of the shared directory, to {real}",
                    remedy="back up what is in the shared directory; for anything else use a "
                    "command in [backup]",
                )
            if there is found[1] and (shared / path).is_symlink():
                raise DataError(
                    f"{path} is a link, to {real}",
                    remedy="name under files in [backup] what it leads to, or put that in its "
                    "place",
                )
            if real.exists() and is_right(real.stat().st_mode):
                there.append(path)
            elif not what.leniently:
                raise DataError(
                    f"there is no {kind} {path} in {shared}",
                    remedy="correct its path in [backup] of the app file, or wait until the app "
                    "has made it",
                )
    return found


def _size_of_database(path: Path) -> int:
    beside = (path.with_name(path.name + suffix) for suffix in ("", "-wal"))
    return sum(allocated(file.stat().st_size) for file in beside if file.exists())


def _size_of_tree(path: Path) -> int:
    if not path.is_dir():
        return allocated(path.lstat().st_size) if path.exists() else 0
    inside = (Path(top) / name for top, _, names in os.walk(path) for name in names)
    return sum(allocated(file.lstat().st_size) for file in inside)


def _copy(
    source: Path, draft: Path, path: str, found: Gathered, *, say: Say, leniently: bool
) -> None:
    source = Path(os.path.realpath(source))
    target = draft / sqlite_copy(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    try:
        copy_database(source, target, reporter(path, say))
        give_as(target, source)  # for a restore that finds none in its place
        sync_file(target)
        took = max(time.monotonic() - began, 1e-6)
        found.sqlite[path] = rows = check_database(target)
    except DamagedError:
        if not leniently:
            raise
        target.unlink(missing_ok=True)
        found.damaged.append(path)
        _copy_as_it_is(source, draft / "damaged" / path)
        say(f"{path} is damaged: copied as it is")
        return
    size = target.stat().st_size
    say(
        f"{path}: {mebibytes(size)} copied in {took:.1f} s ({mebibytes(int(size / took))}/s) and "
        f"checked, {rows_in_words(rows)}"
    )


def _copy_as_it_is(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    for suffix in ("", *BESIDE):
        beside = source.with_name(source.name + suffix)
        if beside.exists():
            with beside.open("rb") as read, target.with_name(target.name + suffix).open("xb") as to:
                shutil.copyfileobj(read, to, CHUNK)
