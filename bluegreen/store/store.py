"""The store: what was done, what is being done, and what the slots hold."""

from __future__ import annotations

import asyncio
import functools
import itertools
import json
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from bluegreen.errors import StoreError
from bluegreen.model import (
    AppLock,
    Event,
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseRecord,
    PhaseState,
    Release,
    Requester,
    Slot,
    SlotRecord,
)
from bluegreen.store import events as event_rows
from bluegreen.store import operations as operation_rows
from bluegreen.store import phases as phase_rows
from bluegreen.store import slots as slot_rows
from bluegreen.store import waiting as waiting_rows
from bluegreen.store.answers import Answers
from bluegreen.store.applied import AppliedMigrations
from bluegreen.store.database import Database, Work
from bluegreen.store.deliveries import Deliveries
from bluegreen.store.failures import corrupt
from bluegreen.store.outbox import Outbox
from bluegreen.store.tally import Tally
from bluegreen.store.tokens import Tokens
from bluegreen.store.waiting import Waiting

_Result = TypeVar("_Result")
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_WHERE_HISTORY_GROWS = """
    SELECT (SELECT max(id) FROM operations), (SELECT max(id) FROM operation_states),
        (SELECT max(id) FROM phases), (SELECT max(id) FROM events)
"""


class Store:
    """The durable memory of the daemon. Made by :meth:`open`; one a database file.

    A change is one transaction, on disk when the call returns; cancelled, it is recorded whole
    or not at all. Every method raises StoreError when the store fails, and every change
    StoreFullError when the disk is full or read-only.
    """

    def __init__(
        self, database: Database, events: Callable[[Event], None] | None, first_operation: int
    ) -> None:
        self._database = database
        self.deliveries = Deliveries(database)
        self._events = events
        self._first_operation = first_operation
        self.answers = Answers(database)
        self.tokens = Tokens(database)
        self.outbox = Outbox(database)
        self.tally = Tally(database)
        self.timings = database.timings
        self.migrations = AppliedMigrations(database, self._change)
        self.waiting = Waiting(database, self._change, first_operation)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        events: Callable[[Event], None] | None = None,
        first_operation: int = 1,
    ) -> Store:
        """Open the database at ``path``, creating it or bringing its schema up to date.

        ``events`` is called with every event, in order, after it is on disk. ``first_operation``
        is the least number an operation gets: one more than the highest that trees and logs bear,
        of which a database that was set aside or put back says nothing. Raises StoreCorruptError,
        StoreFullError or StoreError.
        """
        store = cls(await Database.open(path), events, first_operation)
        try:
            await store._read_what_a_start_needs(path)
        except BaseException:
            await store.close()
            raise
        return store

    async def _read_what_a_start_needs(self, path: Path) -> None:
        """Raises StoreCorruptError. Of a large file, damage is looked for nowhere else."""
        try:
            await self.all_slots()
            for operation in await self.unfinished():
                await self.phases(operation.id)
            await self._database.read(_WHERE_HISTORY_GROWS)
        except ValueError as error:
            raise corrupt(path, [f"what is read there was never written: {error}"]) from error

    async def close(self) -> None:
        """Finish the changes under way, and close the file."""
        await self.deliveries.close()
        await self._database.close()

    async def integrity(self) -> None:
        """Raises StoreError unless the database answers."""
        await self._database.read("SELECT 1 FROM sqlite_schema LIMIT 1")

    # Operations

    async def create_operation(
        self,
        *,
        app: str,
        kind: OperationKind,
        lane: Lane,
        version: str | None,
        slot: Slot | None,
        from_slot: Slot | None,
        requested_by: Requester,
        idempotency_key: str | None = None,
        first_phase: PhaseName | None = None,
        data: Mapping[str, Any] = _NOTHING,
        supersedes: Sequence[int] = (),
    ) -> Operation:
        """Record an operation that is running and holds its lane, in one transaction.

        With ``first_phase`` that phase's intent is recorded too. ``data`` is kept with the
        operation and with that intent. Those of ``supersedes`` that still wait are ended. A
        caller that is cancelled here has no operation: if it was recorded all the same, it ends
        as cancelled. Raises BusyError, DuplicateKeyError.
        """
        new = operation_rows.NewOperation(
            app=app,
            kind=kind,
            lane=lane,
            version=version,
            slot=slot,
            from_slot=from_slot,
            requested_by=requested_by,
            idempotency_key=idempotency_key,
            data=dict(data),
        )

        def work(connection: sqlite3.Connection) -> Operation:
            operation = operation_rows.insert(connection, new, first_id=self._first_operation)
            if first_phase is not None:
                phase_rows.insert_first(connection, operation.id, first_phase, new.data)
            waiting_rows.supersede(connection, supersedes, operation)
            return operation

        task = self._begin(work)
        try:
            operation, _ = await self._database.outcome(task)
        except (asyncio.CancelledError, StoreError):
            task.add_done_callback(self._disown)
            raise
        return operation

    async def resolve_release(
        self, operation: int, release: Release, slot: Slot | None = None
    ) -> None:
        """Record what the requested version is, once; ``slot`` when it was not known before.

        Raises NotFoundError, IllegalTransitionError.
        """
        await self._change(lambda c: operation_rows.resolve(c, operation, release, slot))

    async def record_phase(
        self,
        operation: int,
        phase: PhaseName,
        state: PhaseState,
        data: Mapping[str, Any] = _NOTHING,
        *,
        slot: SlotRecord | None = None,
    ) -> None:
        """Record the next step of a phase, and with it what a slot holds now.

        Raises NotFoundError, IllegalTransitionError.
        """

        def work(connection: sqlite3.Connection) -> None:
            phase_rows.insert(connection, operation, phase, state, dict(data))
            if slot is not None:
                slot_rows.save(connection, slot)

        await self._change(work)

    async def finish_operation(
        self,
        operation: int,
        state: OperationState,
        *,
        error: OperationError | None = None,
        phase: tuple[PhaseName, PhaseState, Mapping[str, Any]] | None = None,
        slots: Sequence[SlotRecord] = (),
        again: bool = False,
    ) -> Operation:
        """Record an outcome and let go of the lane; the last phase and the slots go with it.

        ``again``: of an automatic release, that it waits for another turn. Raises NotFoundError,
        IllegalTransitionError.
        """

        def work(connection: sqlite3.Connection) -> Operation:
            if phase is not None:
                name, phase_state, data = phase
                phase_rows.insert(connection, operation, name, phase_state, dict(data))
            for slot in slots:
                slot_rows.save(connection, slot)
            ended = operation_rows.finish(connection, operation, state, error)
            if again:
                waiting_rows.begin_again(connection, ended, first_id=self._first_operation)
            return ended

        return await self._change(work)

    async def operation(self, id: int) -> Operation:  # noqa: A002
        """Raises NotFoundError."""
        rows = await self._database.read(operation_rows.BY_ID, (id,))
        if not rows:
            raise operation_rows.not_found(id)
        return operation_rows.to_operation(rows[0])

    async def operations(
        self, app: str | Collection[str] | None, *, before: int | None = None, limit: int = 20
    ) -> list[Operation]:
        """Of an app, of some, or of all (None), the newest first; only those before ``before``."""
        if app is not None and not isinstance(app, str):
            pages = [await self.operations(one, before=before, limit=limit) for one in app]
            return sorted(itertools.chain(*pages), key=lambda o: o.id, reverse=True)[:limit]
        if app is None:
            rows = await self._database.read(operation_rows.NEWEST, (before, limit))
        else:
            rows = await self._database.read(operation_rows.NEWEST_OF_APP, (app, before, limit))
        return [operation_rows.to_operation(row) for row in rows]

    async def unfinished(self) -> list[Operation]:
        """What has no outcome yet, oldest first."""
        rows = await self._database.read(operation_rows.UNFINISHED)
        return [operation_rows.to_operation(row) for row in rows]

    async def phases(self, operation: int) -> list[PhaseRecord]:
        """In the order in which they were recorded."""
        rows = await self._database.read(phase_rows.OF_OPERATION, (operation,))
        return [phase_rows.to_phase_record(row) for row in rows]

    async def latest_phases(
        self, app: str, kind: OperationKind, *, limit: int
    ) -> list[PhaseRecord]:
        """Of the newest ``limit`` operations of that kind that succeeded."""
        rows = await self._database.read(phase_rows.OF_LATEST, (app, kind, limit))
        return [phase_rows.to_phase_record(row) for row in rows]

    async def latest_rehearsal(self, app: str, version: str) -> tuple[int, tuple[str, ...]] | None:
        """The operation that rehearsed a version last, and what was pending by then, by name."""
        rows = await self._database.read(phase_rows.LATEST_REHEARSAL, (app, version))
        if not rows:
            return None
        pending = json.loads(rows[0]["data"])["pending"]
        return None if pending is None else (rows[0]["operation"], tuple(pending))

    async def by_idempotency_key(self, app: str, key: str) -> Operation | None:
        rows = await self._database.read(operation_rows.BY_KEY, (app, key))
        return operation_rows.to_operation(rows[0]) if rows else None

    async def served_before(self, app: str, serving: str | None) -> str | None:
        """The version that traffic was on before ``serving`` began to serve; see the query."""
        named = {"app": app, "serving": serving or ""}
        rows = await self._database.read(operation_rows.SERVED_BEFORE, named)
        return rows[0]["version"] if rows else None

    async def last_moved_to(self, app: str) -> Slot | None:
        """Where traffic is by the history; None where it says nothing, or is not certain."""
        for row in await self._database.read(operation_rows.LAST_MOVE, (app,)):
            to = {"done": row["slot"], "undone": row["from_slot"]}.get(row["state"])
            return None if to is None else Slot(to)
        return None

    async def came_with(self, app: str, version: str, commit: str | None = None) -> int | None:
        """The operation that brought a version into service; None where none is known.

        Of a version that was deployed from several commits, ``commit`` says which is meant.
        """
        named = {"app": app, "version": version, "commit": commit}
        rows = await self._database.read(operation_rows.CAME_WITH, named)
        number: int | None = rows[0]["id"]
        return number

    # Events

    async def add_event(
        self, *, app: str, operation: int | None, kind: str, data: Mapping[str, Any]
    ) -> Event:
        """Record an event beside those that operations and phases record by themselves."""
        task = self._begin(lambda c: event_rows.insert(c, app, operation, kind, dict(data)))
        _, [event] = await self._database.outcome(task)
        return event

    async def events(
        self,
        *,
        operation: int | None = None,
        app: str | None = None,
        after: int = 0,
        limit: int = 1000,
    ) -> list[Event]:
        """The oldest ``limit`` events with an id greater than ``after``, in order."""
        rows = await self._database.read(
            *event_rows.query(operation=operation, app=app, after=after, limit=limit)
        )
        return [event_rows.to_event(row) for row in rows]

    # Slots and locks

    async def slots(self, app: str) -> dict[Slot, SlotRecord]:
        """Both slots; a slot that was never recorded is empty."""
        rows = await self._database.read(slot_rows.SLOTS_OF_APP, (app,))
        return slot_rows.by_app(rows).get(app, slot_rows.both_empty(app))

    async def all_slots(self) -> dict[str, dict[Slot, SlotRecord]]:
        """Both slots of every app that was ever recorded, by app name."""
        return slot_rows.by_app(await self._database.read(slot_rows.ALL_SLOTS))

    async def save_slot(self, record: SlotRecord) -> None:
        """Record what a slot holds now."""
        await self._database.write(lambda c: slot_rows.save(c, record))

    async def lock(self, app: str) -> AppLock | None:
        rows = await self._database.read(slot_rows.LOCK, (app,))
        return slot_rows.to_lock(rows[0]) if rows else None

    async def locks(self) -> dict[str, AppLock]:
        """Every lock, by app."""
        locks = map(slot_rows.to_lock, await self._database.read(slot_rows.ALL_LOCKS))
        return {lock.app: lock for lock in locks}

    async def set_lock(self, lock: AppLock) -> None:
        """Lock an app, in place of a lock it may have."""
        await self._database.write(lambda c: slot_rows.save_lock(c, lock))

    async def clear_lock(self, app: str) -> bool:
        """Whether there was a lock."""
        return await self._database.write(lambda c: slot_rows.delete_lock(c, app))

    async def _change(self, work: Work[_Result]) -> _Result:
        result, _ = await self._database.outcome(self._begin(work))
        return result

    def _begin(self, work: Work[_Result]) -> asyncio.Task[tuple[_Result, list[Event]]]:
        """One transaction whose events are told of after the commit."""

        def with_events(connection: sqlite3.Connection) -> tuple[_Result, list[Event]]:
            newest = event_rows.newest_id(connection)
            result = work(connection)
            return result, event_rows.after(connection, newest)

        return self._database.begin(with_events, committed=self._tell)

    def _tell(self, outcome: tuple[object, list[Event]]) -> None:
        if self._events is None:
            return
        for event in outcome[1]:
            try:
                self._events(event)
            except Exception as error:  # the change is on disk, whoever listens
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"a listener failed at event {event.id}", "exception": error}
                )

    def _disown(self, task: asyncio.Task[tuple[Operation, list[Event]]]) -> None:
        """End an operation that nobody is there to run."""
        if not task.cancelled() and task.exception() is None:
            operation, _ = task.result()
            self._begin(
                functools.partial(
                    operation_rows.finish,
                    operation=operation.id,
                    state=OperationState.CANCELLED,
                    error=None,
                )
            )
