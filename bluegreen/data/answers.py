"""What the work on backups answers, read with care: it may run as the app's own user.

Whatever is not as it should be raises ValueError, KeyError or TypeError.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from bluegreen.data import shapes
from bluegreen.data.catalog import Entry
from bluegreen.data.manifest import files_and_bytes, manifest_of


@dataclass(frozen=True, kw_only=True)
class Room:
    """Bytes that a copy of the data takes, and those of the newest backup or what stands in."""

    data: int
    backup: int


def room(found: Mapping[str, Any]) -> Room:
    data, backup = shapes.count(found["data"]), shapes.optional(shapes.count, found["backup"])
    return Room(data=data, backup=data if backup is None else backup)


def entries(result: Mapping[str, Any]) -> list[Entry]:
    return shapes.array(_entry, result["backups"])


def _entry(found: Any) -> Entry:
    number, problem = shapes.count(found["id"]), shapes.optional(shapes.text, found["problem"])
    manifest = shapes.optional(manifest_of, found["manifest"])
    if manifest is None and problem is None:
        raise ValueError("a backup has neither a manifest nor a problem")
    return Entry(id=number, manifest=manifest, problem=problem)


def absent(
    named: tuple[list[str], list[str]], gathered: Mapping[str, Any]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What was named and is not in the backup: databases, and files."""
    (sqlite, files), there = named, {*gathered["sqlite"], *gathered["damaged"], *gathered["files"]}
    return (
        tuple(path for path in sqlite if path not in there),
        tuple(path for path in files if path not in there),
    )


def _named(held: Iterable[str], absent: Iterable[str], now: Mapping[str, Any]) -> list[str]:
    """What a restore replaces, and of what it would take away what is there."""
    return [*held, *(path for path in absent if path in now)]


def loss(now: Mapping[str, Any]) -> dict[str, Any]:
    manifest = manifest_of(now["manifest"])
    return {
        "created_at": manifest.created_at,
        "version": manifest.version,
        "sqlite": {
            path: {**_database(now["sqlite"][path]), "then": manifest.sqlite.get(path, {})}
            for path in _named(manifest.sqlite, manifest.absent_sqlite, now["sqlite"])
        },
        "files": {
            path: {
                **_files(now["files"][path]),
                "then": manifest.files.get(path, {"files": 0, "bytes": 0}),
            }
            for path in _named(manifest.files, manifest.absent_files, now["files"])
        },
        "postgres_rows": manifest.postgres_rows,
        "command": manifest.command,
    }


def _database(found: Any) -> dict[str, Any]:
    return {
        "rows": shapes.counts(found["rows"]),
        "changed_at": shapes.optional(shapes.instant, found["changed_at"]),
        "problem": shapes.optional(shapes.text, found["problem"]),
    }


def _files(found: Any) -> dict[str, Any]:
    changed_at = shapes.optional(shapes.instant, found["changed_at"])
    return {**files_and_bytes(found), "changed_at": changed_at}
