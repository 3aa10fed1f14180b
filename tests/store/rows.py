"""Shorthand to record operations, and the truth about a database looked at without the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bluegreen.model import Lane, Operation, OperationKind, PhaseName, Requester, Slot
from bluegreen.store import Store
from bluegreen.store.migrations import migrations

ALICE = Requester(name="uid 1000 (alice)", via="unix socket")


async def deploy(store: Store, app: str = "shop", version: str = "v2", **more: Any) -> Operation:
    """Record a deploy to the green slot."""
    return await store.create_operation(
        app=app, kind=OperationKind.DEPLOY, lane=Lane.RELEASE, version=version,
        slot=Slot.GREEN, from_slot=Slot.BLUE, requested_by=ALICE, **more,
    )  # fmt: skip


async def switch(store: Store, app: str = "shop", **more: Any) -> Operation:
    """Record a switch to the blue slot, with its intent."""
    return await store.create_operation(
        app=app, kind=OperationKind.SWITCH, lane=Lane.SWITCH, version=None,
        slot=Slot.BLUE, from_slot=Slot.GREEN, requested_by=ALICE,
        first_phase=PhaseName.SWITCH, **more,
    )  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as any SQLite program sees it, foreign keys enforced."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        yield connection
    finally:
        connection.close()


@contextmanager
def bare_schema() -> Iterator[sqlite3.Connection]:
    """An empty database in memory with the newest schema."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute("PRAGMA foreign_keys = ON")
        for step in migrations():
            connection.executescript(step.script())
        yield connection
    finally:
        connection.close()


def add_operation(connection: sqlite3.Connection, app: str = "shop") -> int:
    """An operations row without a state, as only raw SQL can make it."""
    [number] = connection.execute(
        "INSERT INTO operations (app, kind, lane, requested_by, requested_via, data, created_at)"
        " VALUES (?, 'deploy', 'release', 'test', 'test', '{}', 1.0) RETURNING id",
        (app,),
    ).fetchone()
    return int(number)


def add_state(
    connection: sqlite3.Connection, operation: int, previous: str | None, state: str
) -> None:
    connection.execute(
        "INSERT INTO operation_states (operation, previous, state, at) VALUES (?, ?, ?, 1.0)",
        (operation, previous, state),
    )


def add_phase(
    connection: sqlite3.Connection, operation: int, previous: str | None, state: str
) -> None:
    connection.execute(
        "INSERT INTO phases (operation, phase, previous, state, at, data)"
        " VALUES (?, 'build', ?, ?, 1.0, '{}')",
        (operation, previous, state),
    )


# Each counts what only a half-recorded transaction could leave.
_HALVES = {
    "operation that never ran": (
        "SELECT count(*) FROM operations AS o WHERE NOT EXISTS"
        " (SELECT 1 FROM operation_states WHERE operation = o.id AND state = 'running')"
    ),
    "switch without an intent": (
        "SELECT count(*) FROM operations AS o WHERE kind = 'switch' AND NOT EXISTS"
        " (SELECT 1 FROM phases WHERE operation = o.id AND state = 'intent')"
    ),
    "lane without a running operation": (
        "SELECT count(*) FROM running AS r JOIN operations_now AS o ON o.id = r.operation"
        " WHERE o.state <> 'running' OR o.app <> r.app OR o.lane <> r.lane"
    ),
    "running operation without its lane": (
        "SELECT count(*) FROM operations_now WHERE state = 'running'"
        " AND id NOT IN (SELECT operation FROM running)"
    ),
    "state without its event": (
        "SELECT (SELECT count(*) FROM operation_states)"
        " - (SELECT count(*) FROM events WHERE kind = 'operation')"
    ),
    "phase step without its event": (
        "SELECT (SELECT count(*) FROM phases) - (SELECT count(*) FROM events WHERE kind = 'phase')"
    ),
    "success without its last phase": (
        "SELECT count(*) FROM operations_now AS o WHERE state = 'succeeded' AND kind = 'switch'"
        " AND NOT EXISTS (SELECT 1 FROM phases WHERE operation = o.id AND state = 'done')"
    ),
    "success whose slot was not recorded": (
        "SELECT count(*) FROM operations_now AS o WHERE state = 'succeeded' AND kind = 'switch'"
        " AND NOT EXISTS (SELECT 1 FROM slots AS s WHERE s.app = o.app AND s.operation >= o.id)"
    ),
    "gap in the events": "SELECT coalesce(max(id), 0) - count(*) FROM events",
}


def assert_nothing_is_half(connection: sqlite3.Connection) -> None:
    """The file is sound, and every transaction in it is there whole."""
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    found = {name: connection.execute(sql).fetchone()[0] for name, sql in _HALVES.items()}
    assert found == dict.fromkeys(_HALVES, 0)
