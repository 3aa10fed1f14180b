"""The backups of one app on disk: a directory each, named by its number.

What begins with a dot is not a backup yet, or no more: killed at any instant, nothing half is ever
listed, and the next backup reclaims what was left. All of this blocks on the disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from bluegreen.data.manifest import Manifest, read_manifest
from bluegreen.errors import DataError, NotFoundError
from bluegreen.files import rename_durably, sync_directory
from bluegreen.layout import number_of
from bluegreen.sources.removal import remove_tree

# On a host what is above is the daemon's, and read-only in the sandbox of a job.
_NOT_OURS = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A backup as it is listed. ``manifest`` is None where it cannot be used: ``problem``."""

    id: int
    manifest: Manifest | None
    problem: str | None = None

    @property
    def is_good(self) -> bool:
        return self.manifest is not None and self.manifest.is_good


@dataclass(frozen=True)
class Catalog:
    """The directory ``backups`` of an app. Methods raise OSError."""

    app: str
    directory: Path

    def path(self, number: int) -> Path:
        return self.directory / str(number)

    def draft(self, number: int) -> Path:
        """Where a backup is made."""
        return self.directory / f".{number}.draft"

    def has(self, number: int) -> bool:
        return self._is_one(str(number))

    def _is_one(self, name: str) -> bool:
        """Others may put links, files and odd names there: none of them is a backup."""
        path = self.directory / name
        return number_of(name) is not None and path.is_dir() and not path.is_symlink()

    def entries(self) -> list[Entry]:
        """All backups, the newest first: numbers grow, whatever a clock does."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        numbers = sorted((int(name) for name in names if self._is_one(name)), reverse=True)
        return [self._entry(number) for number in numbers]

    def _entry(self, number: int) -> Entry:
        try:
            return Entry(id=number, manifest=read_manifest(self.path(number)))
        except DataError as error:
            return Entry(id=number, manifest=None, problem=error.message)

    def manifest(self, number: int) -> Manifest:
        """Raises NotFoundError where there is no such backup, and DataError."""
        self.require(number)
        return read_manifest(self.path(number))

    def require(self, number: int) -> None:
        """Raises NotFoundError where there is no such backup."""
        if not self.has(number):
            known = ", ".join(str(entry.id) for entry in self.entries()) or "none"
            raise NotFoundError(
                f"{self.app} has no backup {number}",
                remedy=f"name one of those that it has ({known}): bluegreen backup list {self.app}",
            )

    def size_of_others(self) -> int:
        """Bytes of the newest backup without its copies of databases: about as many again."""
        for entry in self.entries():
            if entry.manifest is not None:
                members = entry.manifest.members.items()
                return sum(m.bytes for name, m in members if not name.startswith("sqlite/"))
        return 0

    def begin(self, number: int) -> Path:
        """A new draft, after what was left of others is gone.

        Raises DataError where whoever asks may not write.
        """
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            if error.errno not in _NOT_OURS:
                raise
            raise DataError(
                f"the directory of its backups, {self.directory}, is not there",
                remedy="let root make it: sudo bluegreen apply",
            ) from error
        for name in os.listdir(self.directory):
            if name.startswith("."):
                remove_tree(self.directory / name)
        self.draft(number).mkdir(mode=0o700)
        return self.draft(number)

    def publish(self, number: int) -> None:
        """A draft that was verified becomes a backup."""
        rename_durably(self.draft(number), self.path(number))

    def discard(self, number: int) -> None:
        """Remove a draft, if there is one."""
        if self.draft(number).exists():
            remove_tree(self.draft(number))
            sync_directory(self.directory)

    def prune(self, keep: int, paths: Collection[str] = ()) -> list[int]:
        """Remove what is older than the ``keep`` newest that are good; returns their numbers.

        To be called when the newest has just been verified, so that a good one always stays, also
        of each of ``paths``: of what was not there any more, an older one may be all that is left.
        """
        entries = self.entries()
        good = [(entry.id, entry.manifest) for entry in entries if entry.is_good and entry.manifest]
        if len(good) <= keep:
            return []
        oldest = good[keep - 1][0]
        holds = [(number, {*it.sqlite, *it.files}) for number, it in good]
        newest = {next((number for number, it in holds if path in it), 0) for path in paths}
        gone = [entry.id for entry in entries if entry.id < oldest and entry.id not in newest]
        for number in reversed(gone):
            aside = self.directory / f".{number}.gone"
            rename_durably(self.path(number), aside)
            remove_tree(aside)
        return gone
