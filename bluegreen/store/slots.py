"""Slots and operators' locks, as rows that change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from bluegreen.model import AppLock, Slot, SlotRecord, SlotState
from bluegreen.store.database import Row

ALL_SLOTS = "SELECT * FROM slots ORDER BY app, slot"
SLOTS_OF_APP = "SELECT * FROM slots WHERE app = ?"
LOCK = "SELECT * FROM locks WHERE app = ?"
ALL_LOCKS = "SELECT * FROM locks"


def to_slot_record(row: Row) -> SlotRecord:
    return SlotRecord(
        app=row["app"],
        slot=Slot(row["slot"]),
        state=SlotState(row["state"]),
        version=row["version"],
        commit=row["commit_id"],
        tree=Path(row["tree"]) if row["tree"] is not None else None,
        operation=row["operation"],
        gated_by=row["gated_by"],
        hot_until=row["hot_until"],
        services=as_started(json.loads(row["services"])),
        exclusive=None if row["exclusive"] is None else tuple(json.loads(row["exclusive"])),
    )


def as_started(services: Mapping[str, int] | Sequence[str]) -> dict[str, int]:
    """``SlotRecord.services``; versions that knew of no instances have written the names alone."""
    return dict(services) if isinstance(services, Mapping) else dict.fromkeys(services, 1)


def by_app(rows: Iterable[Row]) -> dict[str, dict[Slot, SlotRecord]]:
    """Both slots of every app that ``rows`` speak of; a slot without a row is empty."""
    apps: dict[str, dict[Slot, SlotRecord]] = {}
    for record in map(to_slot_record, rows):
        apps.setdefault(record.app, both_empty(record.app))[record.slot] = record
    return apps


def both_empty(app: str) -> dict[Slot, SlotRecord]:
    return {slot: SlotRecord(app=app, slot=slot) for slot in Slot}


def save(connection: sqlite3.Connection, record: SlotRecord) -> None:
    connection.execute(
        "INSERT INTO slots (app, slot, state, version, commit_id, tree, operation, gated_by,"
        " hot_until, services, exclusive) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (app, slot) DO UPDATE SET state = excluded.state,"
        " version = excluded.version, commit_id = excluded.commit_id, tree = excluded.tree,"
        " operation = excluded.operation, gated_by = excluded.gated_by,"
        " hot_until = excluded.hot_until, services = excluded.services,"
        " exclusive = excluded.exclusive",
        (
            record.app, record.slot, record.state, record.version, record.commit,
            str(record.tree) if record.tree is not None else None,
            record.operation, record.gated_by, record.hot_until,
            json.dumps(dict(record.services)),
            None if record.exclusive is None else json.dumps(record.exclusive),
        ),
    )  # fmt: skip


def to_lock(row: Row) -> AppLock:
    return AppLock(app=row["app"], reason=row["reason"], by=row["locked_by"], at=row["at"])


def save_lock(connection: sqlite3.Connection, lock: AppLock) -> None:
    connection.execute(
        "INSERT INTO locks (app, reason, locked_by, at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (app) DO UPDATE SET reason = excluded.reason,"
        " locked_by = excluded.locked_by, at = excluded.at",
        (lock.app, lock.reason, lock.by, lock.at),
    )


def delete_lock(connection: sqlite3.Connection, app: str) -> bool:
    """Whether there was one."""
    return connection.execute("DELETE FROM locks WHERE app = ?", (app,)).rowcount > 0
