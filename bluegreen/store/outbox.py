"""How far each receiver has been told of what happened, as rows.

What is to be told is the history itself, so that it is durable before anybody thinks of telling it;
a receiver has a cursor in it, and what was tried of the event behind that.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, fields

from bluegreen.model import Event
from bluegreen.store import events as event_rows
from bluegreen.store.database import Database, Row

_BY_KEY = "SELECT * FROM receivers WHERE key = ?"
_ALL = "SELECT * FROM receivers ORDER BY key"
NEXT = (
    "SELECT * FROM events INDEXED BY events_to_tell"
    " WHERE kind IN ('operation', 'warning', 'promotion') AND id > ? ORDER BY id LIMIT ?"
)
_INSERT = (
    "INSERT INTO receivers (key, address, mark, cursor, since)"
    " VALUES (?, ?, ?, (SELECT coalesce(max(id), 0) FROM events), ?)"
)
_MOVED = (
    "UPDATE receivers SET address = :address, gone_at = NULL, retry_at = NULL, refusals = 0,"
    " cursor = CASE WHEN gone_at IS NULL THEN cursor"
    " ELSE (SELECT coalesce(max(id), 0) FROM events) END WHERE key = :key"
)
_REVIVED = (
    "UPDATE receivers SET gone_at = NULL, retry_at = NULL, refusals = 0, failures = 0,"
    " failing_since = NULL, cursor = (SELECT coalesce(max(id), 0) FROM events)"
    " WHERE key = ? AND gone_at IS NOT NULL"
)


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a receiver has been told. Times are Unix seconds."""

    key: str
    address: str  # a digest of where it is
    mark: str
    cursor: int  # the last event that is settled
    since: float
    refusals: int = 0  # of what comes next
    failures: int = 0  # in a row
    failing_since: float | None = None
    retry_at: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    last_success_at: float | None = None
    delivered: int = 0
    dropped: int = 0
    gone_at: float | None = None


_FIELDS = tuple(field.name for field in fields(Progress))
_CHANGING = tuple(name for name in _FIELDS if name not in ("key", "address", "mark", "since"))
_SAVE = f"UPDATE receivers SET {', '.join(f'{n} = :{n}' for n in _CHANGING)} WHERE key = :key"  # noqa: S608


class Outbox:
    """The receivers of a store. Every method raises StoreError, as the store's own do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, key: str, address: str, now: float) -> Progress:
        """That of a receiver; one that is new is told of what happens from now on.

        One that has moved is told the rest there, and if it had gone, what happens from now on.
        """
        return await self._database.write(lambda c: _open(c, key, address, now))

    async def keep(self, keys: Collection[str]) -> None:
        """Forget all other receivers."""
        await self._database.write(lambda c: _keep(c, keys))

    async def save(self, progress: Progress) -> None:
        await self._database.write(lambda c: c.execute(_SAVE, vars(progress)))

    async def revive(self, key: str) -> Progress:
        """One that had gone is told of what happens from now on."""

        def work(connection: sqlite3.Connection) -> Progress:
            connection.execute(_REVIVED, (key,))
            return _to_progress(connection.execute(_BY_KEY, (key,)).fetchone())

        return await self._database.write(work)

    async def all(self) -> list[Progress]:
        return [_to_progress(row) for row in await self._database.read(_ALL)]

    async def after(self, event: int, limit: int) -> list[Event]:
        """The oldest ``limit`` events behind ``event`` of those that may be told."""
        return [event_rows.to_event(row) for row in await self._database.read(NEXT, (event, limit))]


def _to_progress(row: Row) -> Progress:
    return Progress(**{name: row[name] for name in _FIELDS})


def _open(connection: sqlite3.Connection, key: str, address: str, now: float) -> Progress:
    row = connection.execute(_BY_KEY, (key,)).fetchone()
    if row is None:
        connection.execute(_INSERT, (key, address, secrets.token_hex(6), now))
    elif row["address"] != address:
        connection.execute(_MOVED, {"key": key, "address": address})
    return _to_progress(connection.execute(_BY_KEY, (key,)).fetchone())


def _keep(connection: sqlite3.Connection, keys: Collection[str]) -> None:
    known = [row["key"] for row in connection.execute("SELECT key FROM receivers")]
    for key in known:
        if key not in keys:
            connection.execute("DELETE FROM receivers WHERE key = ?", (key,))
