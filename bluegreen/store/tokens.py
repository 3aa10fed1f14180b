"""Tokens of the API as rows."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass, field

from bluegreen.errors import NotFoundError
from bluegreen.model import Requester
from bluegreen.store.database import Database, Row

_ALL = "SELECT * FROM tokens ORDER BY id"
_BY_ID = "SELECT * FROM tokens WHERE id = ?"


@dataclass(frozen=True, kw_only=True)
class Token:
    """What the API may be asked with over TCP. Times are Unix seconds."""

    id: int
    name: str
    scopes: tuple[str, ...]
    apps: tuple[str, ...] | None  # None: all
    created_at: float
    created_by: Requester
    expires_at: float | None  # None: never
    last_used_at: float | None = None
    last_used_from: str | None = None
    revoked_at: float | None = None
    revoked_by: str | None = None

    def is_valid(self, now: float) -> bool:
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, kw_only=True)
class Hashed:
    """What is kept of a token's text. ``cost`` is scrypt's n, r and p."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    cost: tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class NewToken:
    """``apps`` None: all. ``expires_at`` is in Unix seconds, None: never."""

    name: str
    scopes: tuple[str, ...]
    apps: tuple[str, ...] | None
    expires_at: float | None
    by: Requester


class Tokens:
    """The tokens of a store. Every method raises StoreError, as the store's own do."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, new: NewToken, hashed: Hashed) -> Token:
        """Record a token, with the next number."""
        return await self._database.write(lambda c: _insert(c, new, hashed))

    async def all(self) -> list[Token]:
        """Those that are revoked or have expired too, the oldest first."""
        return [_to_token(row) for row in await self._database.read(_ALL)]

    async def find(self, id: int) -> tuple[Token, Hashed] | None:  # noqa: A002
        """A token, and what its text is compared with; None without one of that number."""
        rows = await self._database.read(_BY_ID, (id,))
        return (_to_token(rows[0]), _to_hashed(rows[0])) if rows else None

    async def revoke(self, id: int, by: Requester) -> Token:  # noqa: A002
        """End a token for good; one that is revoked stays as it is. Raises NotFoundError."""
        return await self._database.write(lambda c: _revoke(c, id, by))

    async def used(self, id: int, at: float, where: str) -> None:  # noqa: A002
        """Record when, in Unix seconds, and from where a token was used last."""
        await self._database.write(lambda c: _used(c, id, at, where))


def _to_token(row: Row) -> Token:
    apps = row["apps"]
    return Token(
        id=row["id"],
        name=row["name"],
        scopes=tuple(json.loads(row["scopes"])),
        apps=None if apps is None else tuple(json.loads(apps)),
        created_at=row["created_at"],
        created_by=Requester(name=row["created_by"], via=row["created_via"]),
        expires_at=row["expires_at"],
        last_used_at=row["last_used_at"],
        last_used_from=row["last_used_from"],
        revoked_at=row["revoked_at"],
        revoked_by=row["revoked_by"],
    )


def _to_hashed(row: Row) -> Hashed:
    n, r, p = json.loads(row["cost"])
    return Hashed(salt=row["salt"], digest=row["digest"], cost=(n, r, p))


def _insert(connection: sqlite3.Connection, new: NewToken, hashed: Hashed) -> Token:
    cursor = connection.execute(
        "INSERT INTO tokens (name, scopes, apps, salt, digest, cost, created_at, created_by,"
        " created_via, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            new.name, json.dumps(new.scopes),
            None if new.apps is None else json.dumps(new.apps),
            hashed.salt, hashed.digest, json.dumps(hashed.cost), time.time(),
            new.by.name, new.by.via, new.expires_at,
        ),
    )  # fmt: skip
    return _token(connection, cursor.lastrowid or 0)


def _revoke(connection: sqlite3.Connection, id: int, by: Requester) -> Token:  # noqa: A002
    """Revoked again, it stays as it is. Raises NotFoundError."""
    connection.execute(
        "UPDATE tokens SET revoked_at = ?, revoked_by = ? WHERE id = ? AND revoked_at IS NULL",
        (time.time(), f"{by.name} via {by.via}", id),
    )
    return _token(connection, id)


def _used(connection: sqlite3.Connection, id: int, at: float, where: str) -> None:  # noqa: A002
    connection.execute(
        "UPDATE tokens SET last_used_at = ?, last_used_from = ? WHERE id = ?", (at, where, id)
    )


def _not_found(id: int) -> NotFoundError:  # noqa: A002
    return NotFoundError(
        f"there is no token {id}", remedy="`bluegreen token list` names those that there are"
    )


def _token(connection: sqlite3.Connection, id: int) -> Token:  # noqa: A002
    row = connection.execute(_BY_ID, (id,)).fetchone()
    if row is None:
        raise _not_found(id)
    return _to_token(row)
