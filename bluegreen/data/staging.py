"""Restored data beside those that they will replace, and what such a restore would lose."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bluegreen.data.archive import Say, read_archive
from bluegreen.data.databases import BESIDE, NoRoomError, count_rows
from bluegreen.data.digests import CHUNK, Digested, sync_and_forget
from bluegreen.data.manifest import ARCHIVE, LISTING, Manifest, sqlite_copy
from bluegreen.data.ownership import give, give_as
from bluegreen.data.replacement import Replacement, replacements
from bluegreen.errors import DataError
from bluegreen.sources.disk_space import is_full, shortage

FLUSH_LIMIT = 300.0  # seconds for all that was staged to be on disk


def stage(directory: Path, manifest: Manifest, shared: Path, operation: int, say: Say) -> None:
    """Lay the databases and files of a backup out beside their targets, on disk. Raises DataError.

    Each is compared with the manifest on its way.
    """
    try:
        for path in manifest.sqlite:
            (staged,) = _beside(shared, [path], operation)
            _copy(directory, sqlite_copy(path), manifest, staged)
            say(f"{path} is staged")
        if manifest.files:
            _unpack(directory, shared, list(manifest.files), operation)
            say(f"{', '.join(manifest.files)}: staged")
        for replacement in replacements(shared, (), operation, absent=manifest.absent):
            _require_inside(shared, replacement)
            replacement.discard()  # of an undo that was killed
    except OSError as error:
        if is_full(error):
            raise NoRoomError(
                "the disk has no room for what is to be restored",
                detail=[shortage(shared, manifest.bytes)],
                remedy="free some space there; the data are as they were",
            ) from error
        raise


def _beside(shared: Path, paths: Sequence[str], operation: int) -> list[Replacement]:
    """The replacements of ``paths``, with the directories that they are in, and nothing staged."""
    found = replacements(shared, paths, operation)
    for replacement in found:
        _require_inside(shared, replacement)
        replacement.target.parent.mkdir(parents=True, exist_ok=True)
        replacement.discard()
    return found


def _require_inside(shared: Path, replacement: Replacement) -> None:
    if not replacement.target.is_relative_to(os.path.realpath(shared)):
        raise DataError(
            f"{replacement.target} is not in the shared directory",
            remedy="remove the link that leads out of it, then restore again",
        )


def _copy(directory: Path, name: str, manifest: Manifest, replacement: Replacement) -> None:
    source, target = directory / name, replacement.target
    with source.open("rb") as read, replacement.staged.open("xb") as written:
        digested = Digested(read)
        shutil.copyfileobj(digested, written, CHUNK)
        if digested.drain() != manifest.members[name]:
            raise DataError(f"{source} is damaged", remedy="restore another backup")
        # The copy in the backup has what the database had then.
        give_as(written.fileno(), target if target.exists() else source)
        sync_and_forget(written)


def _unpack(directory: Path, shared: Path, paths: Sequence[str], operation: int) -> None:
    staged = dict(zip(paths, _beside(shared, paths, operation), strict=True))
    directories: list[tuple[Path, tarfile.TarInfo]] = []

    def put(member: tarfile.TarInfo, content: Digested) -> None:
        top = next(p for p in staged if member.name == p or member.name.startswith(f"{p}/"))
        target = Path(f"{staged[top].staged}{member.name[len(top) :]}")
        # Nothing of ours leads elsewhere; what a link in the archive names is never followed.
        if ".." in target.parts or os.path.realpath(target.parent) != str(target.parent):
            raise DataError(f"{member.name} leads out of {top}", remedy="restore another backup")
        if member.isdir():
            target.mkdir(mode=0o700)
            directories.append((target, member))
        elif member.issym():
            target.symlink_to(member.linkname)
            if os.geteuid() == 0:
                os.lchown(target, member.uid, member.gid)
        else:
            with target.open("xb") as written:
                shutil.copyfileobj(content, written, CHUNK)
                give(written.fileno(), member.uid, member.gid, member.mode)
            os.utime(target, (member.mtime, member.mtime))

    with (directory / ARCHIVE).open("rb") as file:
        read_archive(Digested(file), directory / LISTING, put)
    for made, member in reversed(directories):
        give(made, member.uid, member.gid, member.mode)
        os.utime(made, (member.mtime, member.mtime))
    # syncfs(2), as an fsync of each of many small files would take minutes.
    subprocess.run(["sync", "-f", "--", shared], check=True, timeout=FLUSH_LIMIT)


def present(shared: Path, sqlite: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    """What there is now of what a backup holds: rows by table, files, bytes, the latest change.

    Of a database that cannot be read, ``problem`` says why.
    """
    return {
        "sqlite": {path: _database(Path(os.path.realpath(shared / path))) for path in sqlite},
        "files": {path: _tree(shared / path) for path in files},
    }


def _database(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {"rows": {}, "changed_at": None, "problem": "it is not there"}
    # Before it is opened, which may itself write.
    beside = (path.with_name(path.name + suffix) for suffix in ("", *BESIDE[:1]))
    changed = max(file.stat().st_mtime for file in beside if file.exists())
    try:
        return {"rows": count_rows(path), "changed_at": changed, "problem": None}
    except DataError as error:
        return {"rows": {}, "changed_at": changed, "problem": error.message}


def _tree(top: Path) -> Mapping[str, Any]:
    files = size = 0
    changed: float | None = None
    inside = (os.path.join(at, name) for at, _, names in os.walk(top) for name in names)
    for path in inside if top.is_dir() else (str(top),):
        try:
            status = os.lstat(path)
        except FileNotFoundError:
            continue
        if not stat.S_ISREG(status.st_mode):
            continue
        files, size = files + 1, size + status.st_size
        changed = max(changed or 0.0, status.st_mtime)
    return {"files": files, "bytes": size, "changed_at": changed}
