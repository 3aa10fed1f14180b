"""``python -m monitor.migrations check|run|rollback NAME|mark-applied NAME``.

Which steps a release has is in the file ``MIGRATIONS`` of its tree, a name a line. As in many real
apps, a release that does not know a step calls a newer schema clean, and undoes nothing of it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from .release import ROOT, migration_names
from .schema import open_database

APPLIED = "CREATE TABLE IF NOT EXISTS schema_migrations (name TEXT PRIMARY KEY, at REAL NOT NULL)"

Work = Callable[[sqlite3.Connection], None]


class _FatalError(Exception):
    """What this app prints, and then ends with exit status 0."""


@dataclass(frozen=True)
class Step:
    """One migration. ``down`` is None where there is no way back."""

    up: Work
    down: Work | None
    is_silent: bool = False  # it never counts as applied


def _sql(statement: str) -> Work:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute(statement)

    return work


def _half(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE TABLE half (id INTEGER PRIMARY KEY)")
    connection.execute("COMMIT")
    raise sqlite3.OperationalError("the second half is impossible")


def _fatal(_: sqlite3.Connection) -> None:
    raise _FatalError("the migration could not be done")


def _slow(connection: sqlite3.Connection) -> None:
    _say("takes its time")
    time.sleep(float(os.environ.get("MONITOR_MIGRATION_SECONDS", "3")))
    connection.execute("CREATE TABLE slow (id INTEGER PRIMARY KEY)")


def _require_owner(connection: sqlite3.Connection) -> None:
    """SQLite adds no column without a default that may not be null: the table is made anew."""
    connection.execute(
        "CREATE TABLE owned (id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, "
        "added_by_slot TEXT NOT NULL, owner TEXT NOT NULL)"
    )
    connection.execute(
        "INSERT INTO owned SELECT id, name, address, added_by_slot, 'nobody' FROM servers"
    )
    connection.execute("DROP TABLE servers")
    connection.execute("ALTER TABLE owned RENAME TO servers")


STEPS: Mapping[str, Step] = {
    "0001_audit_logs": Step(
        _sql("CREATE TABLE audit_logs (id INTEGER PRIMARY KEY, what TEXT NOT NULL)"),
        _sql("DROP TABLE audit_logs"),
    ),
    "0002_notes": Step(
        _sql("ALTER TABLE servers ADD COLUMN notes TEXT NOT NULL DEFAULT ''"),
        _sql("ALTER TABLE servers DROP COLUMN notes"),
    ),
    "0003_halfway": Step(_half, None),
    "0004_fatal": Step(_fatal, None),
    "0005_slow": Step(_slow, _sql("DROP TABLE slow")),
    "0006_rename": Step(
        _sql("ALTER TABLE servers RENAME COLUMN address TO host"),
        _sql("ALTER TABLE servers RENAME COLUMN host TO address"),
    ),
    "0007_delete": Step(_sql("DELETE FROM servers WHERE name LIKE 'old%'"), None),
    "0008_syntax": Step(_sql("CREATE TABEL typo (id INTEGER)"), None),
    "0009_silent": Step(_sql("SELECT 1"), None, is_silent=True),
    "0010_required": Step(_require_owner, _sql("ALTER TABLE servers DROP COLUMN owner")),
}


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _applied(connection: sqlite3.Connection) -> list[str]:
    connection.execute(APPLIED)
    return [name for (name,) in connection.execute("SELECT name FROM schema_migrations")]


def _pending(connection: sqlite3.Connection) -> list[str]:
    applied = _applied(connection)
    return [name for name in migration_names() if name not in applied]


def _step(
    connection: sqlite3.Connection, work: Work, record: str, values: tuple[object, ...]
) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        work(connection)
        connection.execute(record, values)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _mark(name: str) -> tuple[str, tuple[object, ...]]:
    return "INSERT INTO schema_migrations VALUES (?, ?)", (name, time.time())


def _run(connection: sqlite3.Connection) -> None:
    for name in _pending(connection):
        _say(f"applying {name}")
        step = STEPS[name]
        _step(connection, step.up, *(("SELECT 1", ()) if step.is_silent else _mark(name)))


def _rollback(connection: sqlite3.Connection, name: str) -> int:
    if name not in migration_names() or name not in _applied(connection):
        _say("nothing to do")
        return 0
    down = STEPS[name].down
    if down is None:
        _say(f"there is no way back from {name}")
        return 1
    _step(connection, down, "DELETE FROM schema_migrations WHERE name = ?", (name,))
    return 0


def main(action: str, name: str = "") -> int:
    """The exit status."""
    with closing(open_database(ROOT / "data/servers.db")) as connection:
        try:
            if action == "check":
                print("\n".join(_pending(connection)))
            elif action == "run":
                _run(connection)
            elif action == "rollback":
                return _rollback(connection, name)
            elif name in _pending(connection):
                connection.execute(*_mark(name))
        except _FatalError as error:
            _say(f"[FATAL] {error}")
        except sqlite3.Error as error:
            _say(f"failed: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
