"""A history of many operations, written into the store of a daemon that does not run."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

# Of every app in turn, a second apart, each of which took half a second and succeeded.
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :count)"
_FILL = (
    f"""
    INSERT INTO operations (id, app, kind, lane, version, slot, from_slot, requested_by,
        requested_via, idempotency_key, data, created_at)
    {_NUMBERS}
    SELECT :first + i, printf('app-%03d', i % :apps), 'deploy', 'release', 'v' || (1 + i % 2),
        iif(i % 2, 'green', 'blue'), iif(i % 2, 'blue', 'green'), 'uid 0 (root)', 'unix socket',
        'key-' || i, '{{}}', :now - :count + i
    FROM n
    """,
    f"""
    INSERT INTO resolutions (operation, version, commit_id, origin, slot, at)
    {_NUMBERS}
    SELECT :first + i, 'v' || (1 + i % 2), printf('%040x', i), '/srv/releases', NULL, :now
    FROM n
    """,
    *(
        f"""
        INSERT INTO operation_states (operation, previous, state, at, error)
        {_NUMBERS}
        SELECT :first + i, {previous}, '{state}', :now - :count + i + {after}, NULL FROM n
        """
        for previous, state, after in (
            ("NULL", "queued", 0.0), ("'queued'", "running", 0.0), ("'running'", "succeeded", 0.5)
        )
    ),
)  # fmt: skip


def write_history(path: Path, *, apps: int, operations: int) -> None:
    """Add so many operations to the store at ``path``. Blocking.

    Past the triggers, which take a minute for what is checked here by how it is written.
    """
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        ).fetchall()
        [first] = connection.execute("SELECT 1 + max(id) FROM operations").fetchone()
        named = {"count": operations, "apps": apps, "first": first, "now": time.time()}
        connection.execute("BEGIN IMMEDIATE")
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        for statement in _FILL:
            connection.execute(statement, named)
        for _, sql in triggers:
            connection.execute(sql)
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
