"""What a backup holds, in a file beside it: with its SHA-256, everything that is in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bluegreen.data import shapes
from bluegreen.errors import DataError
from bluegreen.files import write_atomically
from bluegreen.words import counted

FORMAT = 1
NAME = "manifest.json"
ARCHIVE = "files.tar.gz"
LISTING = "files.jsonl"
"""A line for each member of the archive, in its order: path, kind, SHA-256, bytes."""
OUTPUT = "command.out"
LARGEST = shapes.LONGEST  # bytes of a manifest


@dataclass(frozen=True, kw_only=True)
class Member:
    """One file of a backup."""

    sha256: str
    bytes: int


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """One backup. ``id`` is the number of the operation that made it.

    ``created_at`` is in Unix seconds. Paths are inside the app's shared directory.
    """

    id: int
    app: str
    created_at: float
    reason: str  # "asked for", "before the restore of backup 12"
    version: str | None  # of the release that was active
    sqlite: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # rows by table
    damaged: tuple[str, ...] = ()  # databases that were damaged by then: copied as they were
    files: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # {"files", "bytes"}
    postgres: tuple[str, ...] = ()  # the databases, in the order of their dumps
    postgres_rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)  # by URL, table
    command: bool = False
    # What [backup] named and was not there: a restore takes away what has come since.
    absent_sqlite: tuple[str, ...] = ()
    absent_files: tuple[str, ...] = ()
    members: Mapping[str, Member] = field(default_factory=dict)  # by name in the backup

    @property
    def bytes(self) -> int:
        return sum(member.bytes for member in self.members.values())

    @property
    def absent(self) -> tuple[str, ...]:
        return (*self.absent_sqlite, *self.absent_files)

    @property
    def is_good(self) -> bool:
        """Whether it could be restored, should it verify."""
        return not self.damaged

    def to_json(self) -> dict[str, Any]:
        return {"format": FORMAT, **asdict(self)}


def manifest_of(document: Any) -> Manifest:
    """What `Manifest.to_json` has made. Raises KeyError, TypeError, ValueError."""
    if document["format"] != FORMAT:
        raise ValueError("another version of bluegreen has written it")
    return Manifest(
        id=shapes.count(document["id"]),
        app=shapes.text(document["app"]),
        created_at=shapes.instant(document["created_at"]),
        reason=shapes.text(document["reason"]),
        version=shapes.optional(shapes.text, document["version"]),
        sqlite=shapes.table(shapes.counts, document["sqlite"]),
        damaged=tuple(shapes.array(shapes.text, document["damaged"])),
        files=shapes.table(files_and_bytes, document["files"]),
        postgres=tuple(shapes.array(shapes.text, document["postgres"])),
        postgres_rows=shapes.table(shapes.counts, document["postgres_rows"]),
        command=shapes.flag(document["command"]),
        absent_sqlite=_absent(document, "absent_sqlite"),
        absent_files=_absent(document, "absent_files"),
        members=shapes.table(_member, document["members"]),
    )


def files_and_bytes(value: Any) -> dict[str, int]:
    """How many of each. Raises KeyError, TypeError, ValueError."""
    return {name: shapes.count(value[name]) for name in ("files", "bytes")}


def _absent(document: Any, key: str) -> tuple[str, ...]:
    """Older backups do not say it."""
    return tuple(shapes.array(shapes.text, document.get(key, [])))


def _member(value: Any) -> Member:
    return Member(sha256=shapes.text(value["sha256"]), bytes=shapes.count(value["bytes"]))


def sqlite_copy(path: str) -> str:
    """Where in a backup the copy of a database is."""
    return f"sqlite/{path}"


def dump(number: int) -> str:
    """Where the dump of the ``number``-th PostgreSQL database is, from 1."""
    return f"postgres/{number}.dump"


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Raises OSError."""
    document = manifest.to_json()
    document["sha256"] = _digest(document)
    write_atomically(directory / NAME, json.dumps(document, indent=1) + "\n", mode=0o600)


def read_manifest(directory: Path) -> Manifest:
    """Raises DataError that names the file where it is not what was written."""
    path = directory / NAME
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError("it is too large")
        document = json.loads(path.read_bytes())
        if document.pop("sha256") != _digest(document):
            raise ValueError("its checksum is not right")
        return manifest_of(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise DataError(
            f"the manifest {path} cannot be used: {why}",
            remedy="use another backup (bluegreen backup list), and look at the disk",
        ) from error


def _digest(document: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def rows_in_words(rows: Mapping[str, int]) -> str:
    """``1,200 rows in 3 tables``, of the rows by table"""
    return f"{counted(sum(rows.values()), 'row')} in {counted(len(rows), 'table')}"
