"""The operations that run: at most one an app, from its admission to its end."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator

from bluegreen.errors import BusyError
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    PhaseName,
    PhaseState,
    Requester,
    Slot,
    SlotState,
)
from bluegreen.operations.holding import refuse_if_held
from bluegreen.operations.keys import begun_with
from bluegreen.operations.locking import refuse_if_locked
from bluegreen.operations.machine import conclude, perform
from bluegreen.operations.of_data import data_phases
from bluegreen.operations.old_logs import remove_old
from bluegreen.operations.phases.promote import has_waited_elsewhere
from bluegreen.operations.phases.settle import keep_for_a_while
from bluegreen.operations.plans import phases_of, phases_with_data
from bluegreen.operations.run import Interruption, Run, subject
from bluegreen.operations.runtime import AppRuntime, Parts, refuse_if_removed
from bluegreen.operations.warmth import Warmth
from bluegreen.operations.watched import told
from bluegreen.processes import tell_if_failed
from bluegreen.store.operations import busy_error
from bluegreen.watching.service import Watching

_NAMED_BY_VERSION = (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESTORE)
SHUTDOWN_LIMIT = 60.0  # seconds for running operations to undo what they did


class Queue:
    """Admits operations and performs them; who finds one running is told to come again."""

    def __init__(self, parts: Parts, warmth: Warmth, watching: Watching) -> None:
        self._parts = parts
        self._warmth = warmth
        self._watching = watching
        self._runs: dict[str, Run] = {}
        # Has an operation that a defect has ended finished or undone; see recovery.
        self.on_defect: Callable[[AppRuntime, Operation, Exception], None] = lambda *_: None
        # An operation of the app has ended, or has ended others that wait; see waiting.
        self.on_change: Callable[[AppRuntime], None] = lambda _: None
        self._aside: Counter[str] = Counter()  # switches that go on, by app

    def running(self, app: str) -> Run | None:
        """The operation in progress on an app, if any."""
        return self._runs.get(app)

    def busy(self, app: str) -> BusyError | None:
        """Why nothing else may be done to an app now: who does what, and since when."""
        run = self.running(app)
        if run is None:
            return None
        return busy_error(app, run.operation, next(reversed(run.recorded), None))

    async def outcome(self, operation: Operation) -> Operation:
        """Wait until an operation has ended; returns it with its outcome. See `Run.ended`."""
        run = self.running(operation.app)
        if run is not None and run.operation.id == operation.id:
            await run.ended()
        return await self._parts.store.operation(operation.id)

    async def moved(self, operation: Operation) -> Operation:
        """Wait until it has moved traffic, or has ended; returns it as it is then."""
        run = self.running(operation.app)
        asked = run is not None and run.operation.id == operation.id
        if run is not None and asked and run.recorded.get(PhaseName.SWITCH) is not PhaseState.DONE:
            await run.ended(or_moved=True)
        return await self._parts.store.operation(operation.id)

    async def begin(
        self,
        app: AppRuntime,
        kind: OperationKind,
        by: Requester,
        *,
        version: str | None = None,
        target: Slot | None = None,
        pinned_commit: str | None = None,
        acknowledged: tuple[str, ...] = (),
        manual: bool = False,
        forced: bool = False,
        backup: int | None = None,
        of_switch: bool = False,
        key: str | None = None,
    ) -> Operation:
        """Begin an operation, or find that of ``key``. Raises BusyError, RefusedError.

        ``of_switch``: a switch was asked for, and this is what it takes; it heeds no lock.
        """
        asked = OperationKind.SWITCH if of_switch else kind
        async with app.admission:
            refuse_if_removed(app)
            known = await begun_with(
                key, app, asked,
                version=version if asked in _NAMED_BY_VERSION else None,
                slot=target if asked is OperationKind.SWITCH else None,
                acknowledged=acknowledged, manual=manual, forced=forced, backup=backup,
            )  # fmt: skip
            if known is not None:
                return known
            await self._refuse_what_may_not_begin(app, kind, asked)
            origin = app.active
            slot = target if target is not None else subject(app, kind, origin)
            superseded = await self._superseded(app, kind)
            operation = await self._parts.store.create_operation(
                app=app.name, kind=kind, lane=Lane.RELEASE,
                version=version, slot=None if kind.is_of_data else slot, from_slot=origin,
                requested_by=by, idempotency_key=key,
                data=({"acknowledged": acknowledged} if acknowledged else {})
                | ({"manual": True} if manual else {})
                | ({"forced": True} if forced else {})
                | ({} if backup is None else {"backup": backup})
                | ({"of_switch": True} if of_switch else {}),
                supersedes=superseded,
            )  # fmt: skip
            run = Run(
                app=app, operation=operation, target=slot, origin=origin,
                pinned_commit=pinned_commit,
                gate_seconds=_gate_seconds(app, kind, slot),
            )  # fmt: skip
            self.carry_on(run)
        if superseded:
            self.on_change(app)
        return operation

    async def _refuse_what_may_not_begin(
        self, app: AppRuntime, kind: OperationKind, asked: OperationKind
    ) -> None:
        """The caller holds ``admission``. Raises BusyError, RefusedError."""
        if kind.is_release and asked is kind:
            await refuse_if_locked(app)
        if kind not in (OperationKind.BACKUP, OperationKind.MIGRATE) and not (
            kind is OperationKind.SWITCH and app.settings.app.overlap
        ):  # it would have to hold them itself, or what they wait for goes
            refuse_if_held(app)
        if (busy := self.busy(app.name)) is not None:
            raise busy
        if asked.is_release and self.is_aside(app.name):  # it may be about to ask in here
            raise BusyError(
                f"{app.name} is busy: a switch of it goes on",
                remedy=f"see where traffic is then, and ask again: bluegreen status {app.name}",
            )

    async def _superseded(self, app: AppRuntime, kind: OperationKind) -> list[int]:
        """What waits and is older than a person's wish."""
        if kind is not OperationKind.DEPLOY or app.settings.queue.policy != "latest":
            return []
        return [one.id for one in await self._parts.store.waiting.of(app.name)]

    async def begin_waiting(self, app: AppRuntime, operation: Operation) -> bool:
        """Begin one whose turn has come; the caller holds ``admission``. Raises as the store does.

        False: a person has decided against it since that was looked at. Cancelled, the next daemon
        finds it as one that was interrupted.
        """
        origin, slot = app.active, app.idle
        begun = await self._parts.store.waiting.begin(operation.id, slot, origin)
        if begun is None:
            return False
        run = Run(app=app, operation=begun, target=slot, origin=origin)
        self.carry_on(run)
        if self.is_aside(app.name) or app.active is not origin:
            run.interrupt(Interruption.SWITCH_BACK)  # traffic was moved just now
        return True

    @contextlib.contextmanager
    def aside(self, app: AppRuntime) -> Iterator[None]:
        """Within it, nothing that waits begins: a switch of the app goes first."""
        self._aside[app.name] += 1
        try:
            yield
        finally:
            self._aside[app.name] -= 1
            self.on_change(app)

    def is_aside(self, app: str) -> bool:
        """Whether a switch of the app goes on."""
        return self._aside[app] > 0

    def carry_on(self, run: Run, *, undo: bool = False) -> None:
        """Let an operation run from wherever it stands, or undo what it did."""
        run.task = asyncio.create_task(
            self._perform(run, undo), name=f"operation {run.operation.id} of {run.app.name}"
        )
        run.task.add_done_callback(tell_if_failed)
        self._runs[run.app.name] = run

    async def _perform(self, run: Run, undo: bool) -> Operation:
        async with told(run, self._watching):  # whose end keeps nobody waiting
            return await self._go_through(run, undo)

    async def _go_through(self, run: Run, undo: bool) -> Operation:
        kind, version = run.operation.kind, run.operation.version
        # Also of one that the app file does not ask for any more: it has begun, and is undone.
        of_data = data_phases(kind, version, run.app.settings) | run.recorded.keys()
        of_backup = run.operation.backup is not None
        phases = (
            phases_with_data() if of_backup else phases_of(kind, of_data, held=reverses_first(run))
        )
        phases = [one for one in phases if not has_waited_elsewhere(one, run)]
        try:
            operation = await (conclude(run, phases, None) if undo else perform(run, phases))
        except Exception as error:
            self.on_defect(run.app, run.operation, error)
            raise
        finally:
            self._runs.pop(run.app.name, None)
        try:
            await self._after(run)
        finally:
            self.on_change(run.app)
        return operation

    async def _after(self, run: Run) -> None:
        """Leave the idle slot as warm as it should be, and no more output than is kept."""
        if not run.operation.state.is_final or run.interruption is Interruption.SHUTDOWN:
            return
        if PhaseName.SWITCH in run.recorded and not self._parts.traffic.read(run.app.name).closed:
            await keep_for_a_while(run.app)
        await self._warmth.keep(run.app)
        await remove_old(run.app)

    def interrupt(self) -> None:
        """Have all of them end: see `Interruption.SHUTDOWN`."""
        for run in self._runs.values():
            run.interrupt(Interruption.SHUTDOWN)

    async def close(self) -> None:
        """Interrupt what runs, and wait until it is undone."""
        self.interrupt()
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_LIMIT)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def reverses_first(run: Run) -> bool:
    """Whether a rollback undoes migrations before its release starts, under a hold.

    As it has begun, whatever the app file says since; else as that says it.
    """
    if PhaseName.BACKUP in run.recorded or PhaseName.START in run.recorded:
        first = next(n for n in run.recorded if n in (PhaseName.BACKUP, PhaseName.START))
        return first is PhaseName.BACKUP
    migrations = run.app.settings.migrations
    return migrations is not None and migrations.mode == "hold"


def _gate_seconds(app: AppRuntime, kind: OperationKind, slot: Slot) -> float | None:
    """How long a slot must be healthy before it gets traffic; None: as configured.

    A way back is not kept waiting, unless the release has crashed since it passed its gate.
    """
    crashed = app.slots[slot].state is SlotState.HOT and not app.is_ready(slot)
    return 0.0 if kind is OperationKind.SWITCH and not crashed else None
