"""Automatic releases that wait for their turn, and what keeps them waiting by a person's word."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    Pause,
    Requester,
    Slot,
)
from bluegreen.store import operations as operation_rows
from bluegreen.store.database import Database, Row, Work

ATTEMPTS = 3  # at one automatic release, of which each but the last ended with its daemon

_ALL = (
    "SELECT n.* FROM waiting AS w INNER JOIN operations_now AS n ON n.id = w.operation"
    " ORDER BY w.app, w.place"
)
_OF_APP = (
    "SELECT n.* FROM waiting AS w INNER JOIN operations_now AS n ON n.id = w.operation"
    " WHERE w.app = ? ORDER BY w.place"
)
_PAUSES = (
    "SELECT p.app, p.operation, p.at, o.kind, o.requested_by FROM pauses AS p"
    " INNER JOIN operations AS o ON o.id = p.operation"
)
_BARRED = """
    SELECT 1 FROM operations AS o WHERE o.id = ? AND (
        EXISTS (SELECT 1 FROM locks WHERE app = o.app)
        OR EXISTS (SELECT 1 FROM pauses WHERE app = o.app)
    )
"""
# Of a version or a commit, the newest deploy that has ended and of which something was run, or
# that a person has cancelled, be it that the daemon ended in the undoing of that.
_LATEST_ATTEMPT = """
    SELECT * FROM operations_now AS n WHERE id IN (
        SELECT id FROM operations WHERE app = :app AND version = :version
        UNION
        SELECT o.id FROM resolutions AS r INNER JOIN operations AS o ON o.id = r.operation
        WHERE o.app = :app AND r.commit_id >= :commit AND r.commit_id < :commit || 'g'
    )
    AND kind = 'deploy' AND (
        (state = 'cancelled' AND json_extract(error, '$.kind') = 'cancel')
        OR (
            state IN ('succeeded', 'failed', 'rolled_back')
            AND EXISTS (SELECT 1 FROM phases WHERE operation = n.id AND phase = 'build')
        )
        OR (
            state = 'interrupted' AND EXISTS (
                SELECT 1 FROM phases
                WHERE operation = n.id AND json_extract(data, '$.given_up')
            )
        )
    )
    ORDER BY id DESC LIMIT 1
"""


def to_pause(row: Row) -> Pause:
    return Pause(
        app=row["app"],
        operation=row["operation"],
        kind=OperationKind(row["kind"]),
        by=row["requested_by"],
        at=row["at"],
    )


def superseded_by(operation: Operation) -> OperationError:
    """Why what waited never began: ``operation`` is what came instead."""
    named = f"operation {operation.id} ({operation.version})"
    return OperationError(
        kind="superseded",
        message=f"{named} took its place before it began",
        remedy=f"see that one: bluegreen logs {operation.app} {operation.id}",
    )


def supersede(
    connection: sqlite3.Connection, waiting: Collection[int], operation: Operation
) -> None:
    """End those of ``waiting`` that still wait, as ``operation`` takes their place."""
    for each in waiting:
        if operation_rows.find(connection, each).state is OperationState.QUEUED:
            operation_rows.finish(
                connection, each, OperationState.SUPERSEDED, superseded_by(operation)
            )


def begin_again(connection: sqlite3.Connection, ended: Operation, *, first_id: int) -> None:
    """Have an automatic release that ended with its daemon wait once more, at its old place."""
    first = ended.id if ended.repeats is None else ended.repeats
    new = operation_rows.NewOperation(
        app=ended.app,
        kind=ended.kind,
        lane=ended.lane,
        version=ended.version,
        slot=None,
        from_slot=None,
        requested_by=ended.requested_by,
        idempotency_key=None,  # that of the first attempt
        data={"automatic": True, "attempt": ended.attempt + 1, "repeats": first},
        place=first,
    )
    operation_rows.insert_waiting(connection, new, first_id=first_id)


class Waiting:
    """What waits in the store, and the pauses. Raises as the store does."""

    def __init__(
        self, database: Database, change: Callable[[Work[Any]], Awaitable[Any]], first_id: int
    ) -> None:
        self._database = database
        self._change = change
        self._first_id = first_id

    async def add(
        self,
        *,
        app: str,
        version: str,
        requested_by: Requester,
        idempotency_key: str | None,
        supersedes: Collection[int] = (),
    ) -> Operation:
        """Record an automatic release that waits, and that it takes the place of others.

        In one transaction. A caller that is cancelled does not know whether it waits. Raises
        DuplicateKeyError.
        """
        new = operation_rows.NewOperation(
            app=app,
            kind=OperationKind.DEPLOY,
            lane=Lane.RELEASE,
            version=version,
            slot=None,
            from_slot=None,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
            data={"automatic": True},
        )

        def work(connection: sqlite3.Connection) -> Operation:
            operation = operation_rows.insert_waiting(connection, new, first_id=self._first_id)
            supersede(connection, supersedes, operation)
            return operation

        added: Operation = await self._change(work)
        return added

    async def begin(self, operation: int, slot: Slot, from_slot: Slot | None) -> Operation | None:
        """Its turn has come; None: it waits on, as the app is locked or paused by now.

        Raises NotFoundError, IllegalTransitionError, BusyError.
        """

        def work(connection: sqlite3.Connection) -> Operation | None:
            if connection.execute(_BARRED, (operation,)).fetchone() is not None:
                return None
            return operation_rows.begin(connection, operation, slot, from_slot)

        begun: Operation | None = await self._change(work)
        return begun

    async def of(self, app: str) -> list[Operation]:
        """In the order in which their turns come."""
        return [operation_rows.to_operation(row) for row in await self._rows(_OF_APP, (app,))]

    async def all(self) -> dict[str, list[Operation]]:
        """Of every app of which something waits."""
        found: dict[str, list[Operation]] = {}
        for operation in map(operation_rows.to_operation, await self._rows(_ALL)):
            found.setdefault(operation.app, []).append(operation)
        return found

    async def latest_attempt(
        self, app: str, *, version: str | None, commit: str | None
    ) -> Operation | None:
        """The deploy of a version, or of a commit (or how it begins), that says most of it.

        The newest of which something was run, or that a person has cancelled; None: there is none.
        """
        named = {"app": app, "version": version, "commit": commit}
        rows = await self._rows(_LATEST_ATTEMPT, named)
        return operation_rows.to_operation(rows[0]) if rows else None

    async def pause(self, app: str) -> Pause | None:
        rows = await self._rows(f"{_PAUSES} WHERE p.app = ?", (app,))
        return to_pause(rows[0]) if rows else None

    async def pauses(self) -> dict[str, Pause]:
        """Of all apps."""
        return {pause.app: pause for pause in map(to_pause, await self._rows(_PAUSES))}

    async def resume(self, app: str) -> bool:
        """Whether there was a pause, which is over."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("DELETE FROM pauses WHERE app = ?", (app,)).rowcount > 0

        return await self._database.write(work)

    async def _rows(
        self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()
    ) -> list[Row]:
        return await self._database.read(sql, parameters)
