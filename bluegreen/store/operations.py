"""Operations and their states, as rows. What changes rows runs inside a transaction."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from bluegreen.errors import BusyError, IllegalTransitionError, NotFoundError
from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    PhaseName,
    Release,
    Requester,
    Slot,
)
from bluegreen.store.database import Row
from bluegreen.store.failures import DuplicateKeyError
from bluegreen.store.transitions import check_is_running, check_operation_transition

BY_ID = "SELECT * FROM operations_now WHERE id = ?"
BY_KEY = "SELECT * FROM operations_now WHERE app = ? AND idempotency_key = ?"
_HOLDER = (
    "SELECT * FROM operations_now"
    " WHERE id = (SELECT operation FROM running WHERE app = ? AND lane = ?)"
)
UNFINISHED = (
    "SELECT * FROM operations_now WHERE id IN ("
    "SELECT operation FROM running UNION SELECT operation FROM waiting) ORDER BY id"
)
NEWEST = (
    "SELECT * FROM operations_now WHERE id < coalesce(?, 9223372036854775807)"
    " ORDER BY id DESC LIMIT ?"
)
NEWEST_OF_APP = (
    "SELECT * FROM operations_now WHERE app = ? AND id < coalesce(?, 9223372036854775807)"
    " ORDER BY id DESC LIMIT ?"
)
# What served before the present version began to: that was when it was last deployed, or, without
# a deploy of it, when traffic first moved there. Going back to it later does not count, so that
# one rollback after the other goes further back. By the index on app and id, up to the first hit.
_MOVES = """
    WITH moves AS NOT MATERIALIZED (
        SELECT o.id, o.kind, o.version, o.commit_id FROM operations_now AS o
        WHERE o.app = :app AND o.state IN ('succeeded', 'cancelled') AND (
            SELECT state FROM phases WHERE operation = o.id AND phase = 'switch'
            ORDER BY id DESC LIMIT 1
        ) = 'done'
    )
"""
SERVED_BEFORE = "".join(
    (
        _MOVES,
        """
    SELECT version FROM moves WHERE version <> :serving AND id < coalesce(
        (
            SELECT id FROM moves WHERE version = :serving AND kind = 'deploy'
            ORDER BY id DESC LIMIT 1
        ),
        (SELECT id FROM moves WHERE version = :serving ORDER BY id LIMIT 1),
        9223372036854775807
    )
    ORDER BY id DESC LIMIT 1
""",
    )
)
# Since when a version, or a commit, is what it is: its latest deploy, or else when traffic first
# moved there.
CAME_WITH = "".join(
    (
        _MOVES,
        """,
    its AS (
        SELECT id, kind FROM moves
        WHERE CASE WHEN :commit IS NULL THEN version = :version ELSE commit_id = :commit END
    )
    SELECT coalesce(
        (SELECT id FROM its WHERE kind = 'deploy' ORDER BY id DESC LIMIT 1),
        (SELECT id FROM its ORDER BY id LIMIT 1)
    ) AS id
""",
    )
)
# How the newest operation that was to move traffic stands.
LAST_MOVE = """
    SELECT n.slot, n.from_slot, p.state FROM phases AS p
    INNER JOIN operations_now AS n ON n.id = p.operation
    WHERE p.phase = 'switch' AND p.operation = (
        SELECT o.id FROM operations AS o WHERE o.app = ?
            AND EXISTS (SELECT 1 FROM phases WHERE operation = o.id AND phase = 'switch')
        ORDER BY o.id DESC LIMIT 1
    )
    ORDER BY p.id DESC LIMIT 1
"""
_LATEST_PHASE = "SELECT phase FROM phases WHERE operation = ? ORDER BY id DESC LIMIT 1"


@dataclass(frozen=True, kw_only=True)
class NewOperation:
    """What is known of an operation as it begins."""

    app: str
    kind: OperationKind
    lane: Lane
    version: str | None
    slot: Slot | None
    from_slot: Slot | None
    requested_by: Requester
    idempotency_key: str | None
    data: Mapping[str, Any]
    place: int | None = None  # among those that wait; None: behind them


def json_text(data: Mapping[str, Any]) -> str:
    """``data`` as JSON; what JSON has no word for (a path) becomes its text."""
    return json.dumps(data, default=str, allow_nan=False)


def not_found(operation: int) -> NotFoundError:
    return NotFoundError(
        f"there is no operation {operation}", remedy="`bluegreen history` lists the operations"
    )


def to_operation(row: Row) -> Operation:
    data, error = json.loads(row["data"]), None
    if row["error"] is not None:
        recorded = json.loads(row["error"])
        error = OperationError(**{**recorded, "detail": tuple(recorded["detail"])})
    return Operation(
        id=row["id"],
        app=row["app"],
        kind=OperationKind(row["kind"]),
        lane=Lane(row["lane"]),
        state=OperationState(row["state"]),
        version=row["version"],
        commit=row["commit_id"],
        slot=Slot(row["slot"]) if row["slot"] else None,
        from_slot=Slot(row["from_slot"]) if row["from_slot"] else None,
        requested_by=Requester(name=row["requested_by"], via=row["requested_via"]),
        created_at=row["created_at"],
        finished_at=row["finished_at"],
        error=error,
        acknowledged=tuple(data.get("acknowledged", ())),
        manual=data.get("manual", False),
        forced=data.get("forced", False),
        backup=data.get("backup"),
        of_switch=data.get("of_switch", False),
        automatic=data.get("automatic", False),
        attempt=data.get("attempt", 1),
        repeats=data.get("repeats"),
        begun_at=row["begun_at"],
    )


def find(connection: sqlite3.Connection, operation: int) -> Operation:
    """Raises NotFoundError."""
    row = connection.execute(BY_ID, (operation,)).fetchone()
    if row is None:
        raise not_found(operation)
    return to_operation(row)


def insert(connection: sqlite3.Connection, new: NewOperation, *, first_id: int) -> Operation:
    """Record an operation that is running from now on and holds its lane.

    Raises DuplicateKeyError, or BusyError when another one holds the lane.
    """
    _refuse_known_key(connection, new)
    _refuse_if_held(connection, new.app, new.lane)
    operation = _insert(connection, new, first_id)
    _insert_state(
        connection, operation.id, OperationState.QUEUED, OperationState.RUNNING,
        operation.created_at,
    )  # fmt: skip
    return replace(operation, state=OperationState.RUNNING)


def insert_waiting(
    connection: sqlite3.Connection, new: NewOperation, *, first_id: int
) -> Operation:
    """Record an operation that waits for its turn. Raises DuplicateKeyError."""
    _refuse_known_key(connection, new)
    operation = _insert(connection, new, first_id)
    connection.execute(
        "INSERT INTO waiting (app, place, operation) VALUES (?, ?, ?)",
        (new.app, operation.id if new.place is None else new.place, operation.id),
    )
    return operation


def begin(
    connection: sqlite3.Connection, operation: int, slot: Slot, from_slot: Slot | None
) -> Operation:
    """Record that the turn of one that waits has come; it is running and holds its lane.

    Raises NotFoundError, IllegalTransitionError, or BusyError when another one holds the lane.
    """
    waits = find(connection, operation)
    check_operation_transition(operation, waits.state, OperationState.RUNNING)
    _refuse_if_held(connection, waits.app, waits.lane)
    now = time.time()
    connection.execute(
        "INSERT INTO turns (operation, slot, from_slot, at) VALUES (?, ?, ?, ?)",
        (operation, slot, from_slot, now),
    )
    _insert_state(connection, operation, waits.state, OperationState.RUNNING, now)
    return replace(
        waits, state=OperationState.RUNNING, slot=slot, from_slot=from_slot, begun_at=now
    )


def _refuse_known_key(connection: sqlite3.Connection, new: NewOperation) -> None:
    if new.idempotency_key is None:
        return
    used = connection.execute(BY_KEY, (new.app, new.idempotency_key)).fetchone()
    if used is not None:
        raise DuplicateKeyError(new.app, new.idempotency_key, used["id"])


def _refuse_if_held(connection: sqlite3.Connection, app: str, lane: Lane) -> None:
    holder = connection.execute(_HOLDER, (app, lane)).fetchone()
    if holder is not None:
        phase = connection.execute(_LATEST_PHASE, (holder["id"],)).fetchone()
        raise busy_error(app, to_operation(holder), PhaseName(phase["phase"]) if phase else None)


def _insert(connection: sqlite3.Connection, new: NewOperation, first_id: int) -> Operation:
    """The row, and its first state."""
    now = time.time()
    [identifier] = connection.execute(
        "INSERT INTO operations (id, app, kind, lane, version, slot, from_slot, requested_by,"
        " requested_via, idempotency_key, data, created_at)"
        " VALUES ((SELECT max(coalesce(max(id), 0) + 1, ?) FROM operations),"
        " ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            first_id, new.app, new.kind, new.lane, new.version, new.slot, new.from_slot,
            new.requested_by.name, new.requested_by.via, new.idempotency_key,
            json_text(new.data), now,
        ),
    ).fetchone()  # fmt: skip
    _insert_state(connection, identifier, None, OperationState.QUEUED, now)
    return Operation(
        id=identifier,
        app=new.app,
        kind=new.kind,
        lane=new.lane,
        state=OperationState.QUEUED,
        version=new.version,
        commit=None,
        slot=new.slot,
        from_slot=new.from_slot,
        requested_by=new.requested_by,
        created_at=now,
        acknowledged=tuple(new.data.get("acknowledged", ())),
        manual=new.data.get("manual", False),
        forced=new.data.get("forced", False),
        backup=new.data.get("backup"),
        of_switch=new.data.get("of_switch", False),
        automatic=new.data.get("automatic", False),
        attempt=new.data.get("attempt", 1),
        repeats=new.data.get("repeats"),
    )


def finish(
    connection: sqlite3.Connection,
    operation: int,
    state: OperationState,
    error: OperationError | None,
) -> Operation:
    """Record an outcome and let go of the lane. Raises NotFoundError, IllegalTransitionError."""
    present = find(connection, operation)
    now = time.time()
    _insert_state(connection, operation, present.state, state, now, error)
    return replace(present, state=state, finished_at=now, error=error)


def resolve(
    connection: sqlite3.Connection, operation: int, release: Release, slot: Slot | None
) -> None:
    """Record which release the operation is about, once. Raises IllegalTransitionError."""
    row = connection.execute(BY_ID, (operation,)).fetchone()
    if row is None:
        raise not_found(operation)
    check_is_running(operation, OperationState(row["state"]), f"the release {release.label}")
    if row["resolved"]:
        raise IllegalTransitionError(
            f"operation {operation} is already about {to_operation(row).version}: "
            f"{release.label} cannot take its place",
            remedy="deploy that version in an operation of its own",
        )
    connection.execute(
        "INSERT INTO resolutions (operation, version, commit_id, origin, slot, at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (operation, release.version, release.commit, release.origin, slot, time.time()),
    )


def _insert_state(
    connection: sqlite3.Connection,
    operation: int,
    previous: OperationState | None,
    state: OperationState,
    at: float,
    error: OperationError | None = None,
) -> None:
    check_operation_transition(operation, previous, state)
    connection.execute(
        "INSERT INTO operation_states (operation, previous, state, at, error)"
        " VALUES (?, ?, ?, ?, ?)",
        (operation, previous, state, at, json_text(asdict(error)) if error else None),
    )


def busy_error(app: str, holder: Operation, phase: PhaseName | None = None) -> BusyError:
    """The error for an app that ``holder`` is busy with, in ``phase`` if that is known."""
    what = [holder.kind.value]
    if holder.version is not None:
        what.append(holder.version)
    elif holder.slot is not None:
        what.append(f"to {holder.slot.value}")
    doing = f"{' '.join(what)}, phase {phase.value}" if phase else " ".join(what)
    go_on = f"`bluegreen promote {app}` to let it go on, " if phase is PhaseName.PROMOTE else ""
    return BusyError(
        f"{app} is busy: operation {holder.id} ({doing}) by {holder.requested_by.name}, "
        f"since {clock_time(holder.created_at)}",
        remedy=f"{go_on}`bluegreen logs {app} {holder.id} --follow` to watch it, or "
        f"`bluegreen cancel {app}` to stop it",
    )


def clock_time(at: float) -> str:
    """Local time of day, with the date when that is not today's."""
    then, now = time.localtime(at), time.localtime()
    same_day = (then.tm_year, then.tm_yday) == (now.tm_year, now.tm_yday)
    return time.strftime("%H:%M:%S" if same_day else "%Y-%m-%d %H:%M:%S", then)
