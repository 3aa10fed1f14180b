"""Databases that are large, and damaged in one place."""

from __future__ import annotations

from pathlib import Path

from bluegreen.store.database import QUICK_CHECK_UP_TO
from tests.store.rows import opened

_EVENT_BYTES = 2**20


def make_large(path: Path) -> None:
    """Give the database so many events that it is not checked as it is opened."""
    with opened(path) as connection:
        connection.execute("BEGIN")
        for _ in range(QUICK_CHECK_UP_TO // _EVENT_BYTES + 1):
            connection.execute(
                "INSERT INTO events (operation, app, at, kind, data)"
                " VALUES (NULL, 'other', 0, 'output', json_quote(?))",
                ("x" * _EVENT_BYTES,),
            )
        connection.execute("COMMIT")


def damage(path: Path, table: str) -> None:
    """Overwrite the first page of a table or an index; everything is in the file before."""
    with opened(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        [(page,)] = connection.execute(
            "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)
        )
        [(size,)] = connection.execute("PRAGMA page_size")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * 64)
