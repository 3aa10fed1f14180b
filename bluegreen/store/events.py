"""Events as rows. Those of operations and phases are written by the schema's triggers."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from bluegreen.model import Event
from bluegreen.store.database import Row
from bluegreen.store.operations import json_text


def to_event(row: Row) -> Event:
    return Event(
        id=row["id"],
        operation=row["operation"],
        app=row["app"],
        at=row["at"],
        kind=row["kind"],
        data=json.loads(row["data"]),
    )


def insert(
    connection: sqlite3.Connection,
    app: str,
    operation: int | None,
    kind: str,
    data: Mapping[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO events (operation, app, at, kind, data) VALUES (?, ?, ?, ?, ?)",
        (operation, app, time.time(), kind, json_text(data)),
    )


def newest_id(connection: sqlite3.Connection) -> int:
    """The id of the newest event; 0 when there is none."""
    newest: int = connection.execute("SELECT coalesce(max(id), 0) FROM events").fetchone()[0]
    return newest


def after(connection: sqlite3.Connection, event: int) -> list[Event]:
    """Every event newer than ``event``, in order."""
    rows = connection.execute("SELECT * FROM events WHERE id > ? ORDER BY id", (event,))
    return [to_event(row) for row in rows]


def query(
    *, operation: int | None, app: str | None, after: int, limit: int
) -> tuple[str, list[int | str]]:
    """SQL and parameters for the oldest ``limit`` events after ``after`` that match."""
    conditions, parameters = ["id > ?"], list[int | str]([after])
    if operation is not None:
        conditions.append("operation = ?")
        parameters.append(operation)
    if app is not None:
        conditions.append("app = ?")
        parameters.append(app)
    where = " AND ".join(conditions)
    return f"SELECT * FROM events WHERE {where} ORDER BY id LIMIT ?", [*parameters, limit]  # noqa: S608
