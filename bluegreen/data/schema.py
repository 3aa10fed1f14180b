"""What the tables of SQLite databases are like, to be compared with what they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from bluegreen.data import shapes
from bluegreen.data.databases import LOCK_WAIT
from bluegreen.errors import DataError

DIGITS = 16  # of each digest: they go into the history, and nobody forges them

Schema = Mapping[str, Mapping[str, str]]
"""By database, by object (``table users``), the digest of its definition."""


def schema_of(shared: Path, paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """The schemas of those databases in ``shared`` that are there. Blocking; raises DataError."""
    return {path: _objects(shared / path) for path in paths if (shared / path).exists()}


def as_schema(value: Any) -> Schema:
    """The schemas that a job has written, checked. Raises TypeError, ValueError."""
    return shapes.table(lambda objects: shapes.table(shapes.text, objects), value)


def differences(before: Schema, after: Schema) -> list[str]:
    """A line for each object that is new, gone or another: ``app.db: table users changed``."""
    return list(_differences(before, after))


def _differences(before: Schema, after: Schema) -> Iterator[str]:
    for path in sorted({*before, *after}):
        was, now = before.get(path, {}), after.get(path, {})
        for name in sorted({*was, *now}):
            if was.get(name) != now.get(name):
                how = "added" if name not in was else "removed" if name not in now else "changed"
                yield f"{path}: {name} {how}"


def _objects(path: Path) -> dict[str, str]:
    address = f"file:{quote(str(path))}?mode=rw"
    try:
        with closing(
            sqlite3.connect(address, uri=True, timeout=LOCK_WAIT, isolation_level=None)
        ) as connection:
            found = {
                f"{kind} {name}": sha256((sql or "").encode()).hexdigest()[:DIGITS]
                for kind, name, sql in connection.execute(
                    "SELECT type, name, sql FROM sqlite_schema"
                    r" WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\'"
                )
            }
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            return found | ({"user_version": str(version)} if version else {})
    except sqlite3.Error as error:
        raise DataError(
            f"the schema of {path.name} cannot be read: {error}",
            remedy=f"see that {path} is an SQLite database, and who has it locked (fuser {path})",
        ) from error
