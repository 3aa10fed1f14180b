"""Deliveries of webhooks, as rows; and their recording, many in one transaction."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from bluegreen.errors import NotFoundError
from bluegreen.store.database import Database, Row
from bluegreen.store.delivery_bodies import Bodies, Content
from bluegreen.store.together import Change, Together

# Forges sign a body alike, and no name: one that was captured is none of another's.
_INSERT = (
    "INSERT INTO deliveries (app, provider, delivery, digest, event, version, decision, why, via,"
    " received_at, replay_of, replayed_by) SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"
    " WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE app = ? AND digest = ? AND provider IN"
    " ('gitea', 'github', 'gitlab')) ON CONFLICT DO NOTHING"
)
# Of many, in one visit to SQLite: for each row of its own it would wait for the interpreter's lock
# as often, which is held by whoever reads the next deliveries.
_INSERT_ALL = """
    INSERT INTO deliveries (
        app, provider, delivery, digest, event, version, decision, why, via, received_at
    )
    SELECT
        json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
        json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
        json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]'),
        json_extract(value, '$[9]')
    FROM json_each(?)
    WHERE NOT EXISTS (
        SELECT 1 FROM deliveries
        WHERE app = json_extract(value, '$[0]') AND digest = json_extract(value, '$[3]')
        AND provider IN ('gitea', 'github', 'gitlab')
    )
    ON CONFLICT DO NOTHING
"""
_BY_NAME = "SELECT * FROM deliveries_known WHERE app = ? AND provider = ? AND delivery = ?"
_BY_DIGEST = (
    "SELECT * FROM deliveries_known WHERE app = ? AND digest = ?"
    " AND provider IN ('gitea', 'github', 'gitlab')"
)
_BY_ID = "SELECT * FROM deliveries_known WHERE id = ?"
OF_APP = (
    "SELECT * FROM deliveries_known WHERE app = ? AND id < coalesce(?, 9223372036854775807)"
    " ORDER BY id DESC LIMIT ?"
)
NAMED = "SELECT * FROM deliveries_known WHERE app = ? AND delivery = ? ORDER BY id DESC LIMIT 1"
ACCEPTED = "SELECT * FROM deliveries_known WHERE decision = 'accepted' ORDER BY id"


@dataclass(frozen=True, kw_only=True)
class NewDelivery:
    """A delivery as it came in. ``received_at`` is Unix seconds."""

    app: str
    provider: str
    delivery: str
    digest: str | None  # of the body, where the sender's name for it is not signed
    event: str
    version: str | None
    decision: str
    why: str | None
    via: str
    received_at: float
    headers: Mapping[str, str]
    body: bytes
    replay_of: int | None = None
    replayed_by: str | None = None


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A delivery as it is recorded."""

    id: int
    app: str
    provider: str
    delivery: str
    event: str
    version: str | None
    decision: str
    why: str | None
    operation: int | None
    via: str
    received_at: float
    replay_of: int | None
    replayed_by: str | None
    is_whole: bool  # its body is still kept


def to_delivery(row: Row) -> Delivery:
    return Delivery(
        id=row["id"],
        app=row["app"],
        provider=row["provider"],
        delivery=row["delivery"],
        event=row["event"],
        version=row["version"],
        decision=row["decision"],
        why=row["why"],
        operation=row["operation"],
        via=row["via"],
        received_at=row["received_at"],
        replay_of=row["replay_of"],
        replayed_by=row["replayed_by"],
        is_whole=bool(row["is_whole"]),
    )


def insert(connection: sqlite3.Connection, new: NewDelivery) -> tuple[Delivery, bool]:
    """Record it, but for its body, or find the one that it repeats; whether it is new."""
    inserted = connection.execute(
        _INSERT,
        (
            new.app, new.provider, new.delivery, new.digest, new.event, new.version, new.decision,
            new.why, new.via, new.received_at, new.replay_of, new.replayed_by, new.app, new.digest,
        ),
    )  # fmt: skip
    if inserted.rowcount == 1 and inserted.lastrowid is not None:
        return _recorded(inserted.lastrowid, new), True
    return to_delivery(_find(connection, new)), False


def insert_all(
    connection: sqlite3.Connection, news: Sequence[NewDelivery]
) -> list[tuple[Delivery, bool]]:
    """As `insert`, of many of which none is a replay or repeats another."""
    values = [
        (
            new.app, new.provider, new.delivery, new.digest, new.event, new.version, new.decision,
            new.why, new.via, new.received_at,
        )
        for new in news
    ]  # fmt: skip
    inserted = connection.execute(_INSERT_ALL, (json.dumps(values),))
    first = (inserted.lastrowid or 0) - inserted.rowcount + 1
    if inserted.rowcount == len(news):
        return [(_recorded(number, new), True) for number, new in enumerate(news, first)]
    found = [_find(connection, new) for new in news]
    is_any_new = inserted.rowcount > 0
    return [
        (_recorded(row["id"], new), True)
        if is_any_new and row["id"] >= first
        else (to_delivery(row), False)
        for new, row in zip(news, found, strict=True)
    ]


def _are_all_others(news: Sequence[NewDelivery]) -> bool:
    """Whether none repeats another by its name or its body."""
    names = {(new.app, new.provider, new.delivery) for new in news}
    digests = {(new.app, new.digest or number) for number, new in enumerate(news)}
    return len(names) == len(digests) == len(news)


def _find(connection: sqlite3.Connection, new: NewDelivery) -> Row:
    """The one that is recorded under its name or, of another name, with its body."""
    found = connection.execute(_BY_NAME, (new.app, new.provider, new.delivery)).fetchone()
    if found is None:
        found = connection.execute(_BY_DIGEST, (new.app, new.digest)).fetchone()
    row: Row = found
    return row


def _recorded(number: int, new: NewDelivery) -> Delivery:
    return Delivery(
        id=number,
        app=new.app,
        provider=new.provider,
        delivery=new.delivery,
        event=new.event,
        version=new.version,
        decision=new.decision,
        why=new.why,
        operation=None,
        via=new.via,
        received_at=new.received_at,
        replay_of=new.replay_of,
        replayed_by=new.replayed_by,
        is_whole=True,
    )


def settle(
    connection: sqlite3.Connection,
    delivery: int,
    decision: str,
    operation: int | None,
    why: str | None,
) -> Delivery:
    """Record what became of an accepted one. Raises IllegalTransitionError by its trigger."""
    connection.execute(
        "UPDATE deliveries SET decision = ?, operation = ?, why = ? WHERE id = ?",
        (decision, operation, why, delivery),
    )
    return to_delivery(connection.execute(_BY_ID, (delivery,)).fetchone())


class Deliveries:
    """The deliveries of a store. Raises StoreError, and StoreFullError where the disk is full.

    Those that arrive while others are on their way to the disk go there together. Bodies, of which
    only the newest are kept, follow later: what is done about a delivery does not need its body any
    more.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._together = Together(database, lambda connection, changes: _make(connection, changes))
        self.bodies = Bodies(database)

    async def record(self, new: NewDelivery) -> tuple[Delivery, bool]:
        """On disk when this returns: the delivery, or the one it repeats, and whether it is new."""
        delivery, is_new = await self._together.change(
            lambda connection: insert(connection, new), new if new.replay_of is None else None
        )
        if not is_new:
            return self._with_body(delivery), False
        self.bodies.add(new.app, Content(delivery.id, new.headers, new.body))
        return delivery, True

    async def settle(
        self, delivery: int, decision: str, *, operation: int | None = None, why: str | None = None
    ) -> Delivery:
        """Record what became of one that was accepted."""
        return self._with_body(
            await self._together.change(
                lambda connection: settle(connection, delivery, decision, operation, why)
            )
        )

    async def of_app(self, app: str, *, before: int | None, limit: int) -> list[Delivery]:
        """Newest first; with ``before``, those older than that one."""
        rows = await self._database.read(OF_APP, (app, before, limit))
        return [self._with_body(to_delivery(row)) for row in rows]

    async def accepted(self) -> list[Delivery]:
        """What was taken up and not handed on, the oldest first."""
        rows = await self._database.read(ACCEPTED)
        return [self._with_body(to_delivery(row)) for row in rows]

    async def find(self, app: str, name: str) -> Delivery:
        """By its number or by its sender's name for it. Raises NotFoundError."""
        rows: list[Row] = []
        if name.isascii() and name.isdecimal() and len(name) <= 18:
            rows = await self._database.read(_BY_ID, (int(name),))
            rows = [row for row in rows if row["app"] == app]
        found = to_delivery(rows[0]) if rows else await self.named(app, name)
        if found is None:
            raise NotFoundError(
                f"{app} has no delivery {name[:60]}",
                remedy=f"see those that came: bluegreen webhook list {app}",
            )
        return self._with_body(found)

    async def named(self, app: str, name: str) -> Delivery | None:
        """The latest that its sender, of whatever provider, calls so."""
        rows = await self._database.read(NAMED, (app, name))
        return self._with_body(to_delivery(rows[0])) if rows else None

    def _with_body(self, delivery: Delivery) -> Delivery:
        if self.bodies.unkept(delivery.id) is not None:
            return replace(delivery, is_whole=True)
        return delivery

    async def close(self) -> None:
        """Keep the bodies that are not kept yet."""
        await self.bodies.close()


def _make(connection: sqlite3.Connection, changes: Sequence[Change]) -> list[Any]:
    """Those are recorded in one statement that may be: their subject is the new delivery."""
    results: list[Any] = []
    for _, group in itertools.groupby(changes, lambda change: change.subject is not None):
        part = [*group]
        news = [change.subject for change in part if change.subject is not None]
        if len(news) > 1 and _are_all_others(news):
            results += insert_all(connection, news)
        else:
            results += [change.work(connection) for change in part]
    return results
