"""The recorded steps of operations' phases, as rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from bluegreen.model import OperationState, PhaseName, PhaseRecord, PhaseState
from bluegreen.store.database import Row
from bluegreen.store.operations import json_text, not_found
from bluegreen.store.transitions import check_phase_transition

OF_OPERATION = (
    "SELECT operation, phase, state, at, data FROM phases WHERE operation = ? ORDER BY id"
)
OF_LATEST = (
    "SELECT operation, phase, state, at, data FROM phases WHERE operation IN ("
    "SELECT id FROM operations_now WHERE app = ? AND kind = ? AND state = 'succeeded'"
    " ORDER BY id DESC LIMIT ?) ORDER BY id"
)
LATEST_REHEARSAL = (
    "SELECT p.operation, p.data FROM phases AS p"
    " INNER JOIN operations_now AS o ON o.id = p.operation"
    " WHERE o.app = ? AND o.version = ? AND p.phase = 'rehearse' AND p.state = 'done'"
    " ORDER BY p.id DESC LIMIT 1"
)
_PRESENT = (
    "SELECT s.state AS operation_state, (SELECT p.state FROM phases AS p"
    " WHERE p.operation = s.operation AND p.phase = ? ORDER BY p.id DESC LIMIT 1) AS phase_state"
    " FROM operation_states AS s WHERE s.operation = ? ORDER BY s.id DESC LIMIT 1"
)


def to_phase_record(row: Row) -> PhaseRecord:
    return PhaseRecord(
        operation=row["operation"],
        phase=PhaseName(row["phase"]),
        state=PhaseState(row["state"]),
        at=row["at"],
        data=json.loads(row["data"]),
    )


def insert(
    connection: sqlite3.Connection,
    operation: int,
    phase: PhaseName,
    state: PhaseState,
    data: Mapping[str, Any],
) -> None:
    """Record the next step of a phase. Raises NotFoundError, IllegalTransitionError."""
    present = connection.execute(_PRESENT, (phase, operation)).fetchone()
    if present is None:
        raise not_found(operation)
    previous = PhaseState(present["phase_state"]) if present["phase_state"] else None
    check_phase_transition(
        operation, OperationState(present["operation_state"]), phase, previous, state
    )
    _insert(connection, operation, phase, previous, state, data)


def insert_first(
    connection: sqlite3.Connection, operation: int, phase: PhaseName, data: Mapping[str, Any]
) -> None:
    """Record the intent of the first phase of an operation that begins in this transaction."""
    _insert(connection, operation, phase, None, PhaseState.INTENT, data)


def _insert(
    connection: sqlite3.Connection,
    operation: int,
    phase: PhaseName,
    previous: PhaseState | None,
    state: PhaseState,
    data: Mapping[str, Any],
) -> None:
    connection.execute(
        "INSERT INTO phases (operation, phase, previous, state, at, data)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (operation, phase, previous, state, time.time(), json_text(data)),
    )
