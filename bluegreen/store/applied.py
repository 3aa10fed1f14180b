"""What became of the migrations of apps, as rows that are only added to."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from bluegreen.migrations.nouns import AppliedMigration, MigrationChange, MigrationPlace
from bluegreen.model import Slot
from bluegreen.store.database import Database, Row, Work

# A tree bears the number of the operation that has built it, whose commit it is of.
_WITH_COMMIT = """
    SELECT m.*, o.state, r.commit_id FROM migrations AS m
    INNER JOIN operations_now AS o ON o.id = m.operation
    LEFT JOIN resolutions AS r ON r.operation = CAST(
        replace(m.tree, rtrim(m.tree, replace(m.tree, '/', '')), '') AS INTEGER
    )
"""
_OF_APP = "".join(
    (
        _WITH_COMMIT,
        """
    WHERE m.app = ? AND m.change <> 'rolled_back'
        AND m.id = (SELECT max(id) FROM migrations WHERE app = m.app AND name = m.name)
    ORDER BY m.id
""",
    )
)

_LATEST = "".join(
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

_LATEST_OF_ALL = "".join(
    (
        _WITH_COMMIT,
        """
    WHERE m.id IN (SELECT max(id) FROM migrations GROUP BY app, name)
    ORDER BY m.id
""",
    )
)

_OF_OPERATION = "SELECT name, change FROM migrations WHERE operation = ?"


def _to_applied(row: Row) -> AppliedMigration:
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


def _insert(
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


class AppliedMigrations:
    """What became of them, in the store. Raises as the store does."""

    def __init__(self, database: Database, change: Callable[[Work[Any]], Awaitable[Any]]) -> None:
        self._database = database
        self._change = change

    async def record(
        self, operation: int, names: Sequence[str], change: MigrationChange, place: MigrationPlace
    ) -> None:
        """Record what became of ``names``, in the order in which it was done.

        Once for each of an operation: done again, nothing is added. Raises NotFoundError,
        IllegalTransitionError.
        """
        if names:
            await self._change(lambda c: _insert(c, operation, names, change, place))

    async def applied(self, app: str) -> list[AppliedMigration]:
        """What is applied now, in the order in which it was applied."""
        return [_to_applied(row) for row in await self._database.read(_OF_APP, (app,))]

    async def latest(self, app: str, *, until: float | None = None) -> list[AppliedMigration]:
        """The latest change of each, undone ones too, as it was at ``until`` (Unix seconds)."""
        rows = await self._database.read(_LATEST, {"app": app, "until": until})
        return [_to_applied(row) for row in rows]

    async def latest_by_app(self) -> dict[str, list[AppliedMigration]]:
        """The same of every app that has any, as it is now."""
        found: dict[str, list[AppliedMigration]] = {}
        for row in await self._database.read(_LATEST_OF_ALL):
            found.setdefault(row["app"], []).append(_to_applied(row))
        return found

    async def of_operation(self, operation: int) -> set[tuple[str, MigrationChange]]:
        """What an operation has done to which migrations."""
        rows = await self._database.read(_OF_OPERATION, (operation,))
        return {(row["name"], MigrationChange(row["change"])) for row in rows}
