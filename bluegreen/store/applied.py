"""What became of the migrations of apps, as rows that are only added to."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

from bluegreen.model import AppliedMigration, MigrationChange, MigrationPlace, Slot
from bluegreen.store.database import Row

# A tree bears the number of the operation that has built it, whose commit it is of.
_WITH_COMMIT = """
    SELECT m.*, o.state, r.commit_id FROM migrations AS m
    INNER JOIN operations_now AS o ON o.id = m.operation
    LEFT JOIN resolutions AS r ON r.operation = CAST(
        replace(m.tree, rtrim(m.tree, replace(m.tree, '/', '')), '') AS INTEGER
    )
"""
OF_APP = "".join(
    (
        _WITH_COMMIT,
        """
    WHERE m.app = ? AND m.change <> 'rolled_back'
        AND m.id = (SELECT max(id) FROM migrations WHERE app = m.app AND name = m.name)
    ORDER BY m.id
""",
    )
)

LATEST = "".join(
    (
        _WITH_COMMIT,
        """
    WHERE m.app = :app AND m.id = (
        SELECT max(id) FROM migrations
        WHERE app = m.app AND name = m.name AND at <= coalesce(:until, 9e99)
    )
    ORDER BY m.id
""",
    )
)

LATEST_OF_ALL = "".join(
    (
        _WITH_COMMIT,
        """
    WHERE m.id IN (SELECT max(id) FROM migrations GROUP BY app, name)
    ORDER BY m.id
""",
    )
)

OF_OPERATION = "SELECT name, change FROM migrations WHERE operation = ?"


def to_applied(row: Row) -> AppliedMigration:
    return AppliedMigration(
        name=row["name"],
        change=MigrationChange(row["change"]),
        operation=row["operation"],
        place=MigrationPlace(
            version=row["version"], slot=Slot(row["slot"]), tree=Path(row["tree"])
        ),
        at=row["at"],
        succeeded=row["state"] == "succeeded",
        commit=row["commit_id"],
    )


def insert(
    connection: sqlite3.Connection,
    operation: int,
    names: Sequence[str],
    change: MigrationChange,
    place: MigrationPlace,
) -> None:
    connection.executemany(
        "INSERT INTO migrations (app, name, operation, change, version, slot, tree, at)"
        " SELECT app, ?2, id, ?3, ?4, ?5, ?6, ?7 FROM operations WHERE id = ?1"
        " ON CONFLICT (operation, name, change) DO NOTHING",
        [
            (operation, name, change, place.version, place.slot, str(place.tree), time.time())
            for name in names
        ],
    )
