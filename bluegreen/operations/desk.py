"""Where requests come in: each becomes an operation of its own, or a refusal that says why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bluegreen.config.versions import check_version
from bluegreen.errors import BusyError, RefusedError, UsageError
from bluegreen.model import (
    AppLock,
    Hold,
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    Requester,
    Slot,
    SlotState,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.by_hand import Action, ByHand, asked
from bluegreen.operations.holding import Holds, refuse_if_held
from bluegreen.operations.keys import begun_with
from bluegreen.operations.locking import refuse_if_locked
from bluegreen.operations.machine import conclude, perform
from bluegreen.operations.old_logs import remove_old
from bluegreen.operations.phases.settle import keep_for_a_while
from bluegreen.operations.plans import data_phases, phases_of, phases_with_data
from bluegreen.operations.restoring import (
    release_of_backup,
    require_backups,
    require_restorable,
)
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.runtime import AppRuntime, Parts, find
from bluegreen.operations.switching import Switched, record_late, record_next, switch_now
from bluegreen.operations.unsettled import Unsettled
from bluegreen.operations.warmth import Warmth
from bluegreen.operations.way_back import (
    How,
    WayBack,
    known_migrations,
    refuse_by_schema,
    way_past_schema,
)
from bluegreen.store.failures import DuplicateKeyError
from bluegreen.store.operations import busy_error

log = logging.getLogger(__name__)

_NAMED_BY_VERSION = (OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESTORE)
SHUTDOWN_LIMIT = 60.0  # seconds for running operations to undo what they did


class Desk:
    """The apps, their running operations, and everything that may be asked of them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.apps: dict[str, AppRuntime] = {}
        self.warmth = Warmth()
        self.holds = Holds()
        self.unsettled: dict[int, Unsettled] = {}  # by the operation's number; see recovery
        self._runs: dict[str, Run] = {}
        self._late: dict[str, asyncio.Task[None]] = {}
        self._later: set[asyncio.Task[None]] = set()
        parts.supervisor.on_change = self._on_change

    def app(self, name: str) -> AppRuntime:
        return find(self.apps, name, self.parts.layout)

    def only_app(self) -> str:
        """The name of the host's only app. Raises UsageError where there are more, or none."""
        names = sorted(self.apps)
        if len(names) == 1:
            return names[0]
        layout = self.parts.layout
        raise UsageError(
            "which app? " + (f"this host has {', '.join(names)}" if names else "there is none"),
            remedy="name one, as in: bluegreen status APP"
            if names
            else f"describe one in {layout.app_files}/APP.toml, then: {layout.remedies.take_up}",
        )

    def running(self, app: str) -> Run | None:
        """The operation in progress on an app, if any."""
        return self._runs.get(app)

    def busy(self, app: str) -> BusyError | None:
        """Why nothing else may be done to an app now: who does what, and since when."""
        run = self.running(app)
        if run is None:
            return None
        return busy_error(app, run.operation, next(reversed(run.recorded), None))

    def runs_in(self, app: str, slot: Slot) -> bool:
        """Whether the services of an app run in a slot, or are to."""
        return self.apps[app].slots[slot].state in (SlotState.HOT, SlotState.STARTING)

    # -- releases ---------------------------------------------------------------------------

    async def deploy(
        self,
        app: str,
        version: str,
        by: Requester,
        *,
        acknowledged: tuple[str, ...] = (),
        key: str | None = None,
    ) -> Operation:
        """Begin the upgrade of the idle slot to ``version``; ``acknowledged`` is what it breaks."""
        check_version(version)
        return await self._begin(
            self.app(app), OperationKind.DEPLOY, by,
            version=version, acknowledged=acknowledged, key=key,
        )  # fmt: skip

    async def rollback(
        self,
        app: str,
        version: str | None,
        by: Requester,
        *,
        backup: int | None = None,
        key: str | None = None,
    ) -> Operation:
        """Begin the way to an older release, with a backup's data if one is named.

        ``version`` None: the one that made the backup or, without, that served before the present.
        """
        runtime, kind = self.app(app), OperationKind.ROLLBACK
        if known := await begun_with(key, runtime, kind, version=version, backup=backup):
            return known
        if backup is not None:
            if (busy := self.busy(app)) is not None:
                raise busy
            version = version or await release_of_backup(runtime, backup)
        if version is None:
            version = await self._version_before(runtime)
        check_version(version)
        return await self._begin(runtime, kind, by, version=version, backup=backup, key=key)

    async def restart(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to bring the serving release up in the other slot, and traffic over to it."""
        runtime = self.app(app)
        if known := await begun_with(key, runtime, OperationKind.RESTART):
            return known
        serving = runtime.slots[self._active(runtime)]
        if self.parts.traffic.read(app).closed:
            raise RefusedError(f"{app} is out of service", remedy=f"bluegreen start {app}")
        return await self._begin(
            runtime, OperationKind.RESTART, by,
            version=serving.version, pinned_commit=serving.commit, key=key,
        )  # fmt: skip

    async def stop(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to take an app out of service."""
        runtime = self.app(app)
        active = self._active(runtime)
        return await self._begin(runtime, OperationKind.STOP, by, target=active, key=key)

    async def start(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to bring a stopped app back, through its gate."""
        runtime = self.app(app)
        if known := await begun_with(key, runtime, OperationKind.START):
            return known
        active = self._active(runtime)
        if not self.parts.traffic.read(app).closed:
            raise RefusedError(
                f"{app} is in service already", remedy=f"see it: bluegreen status {app}"
            )
        return await self._begin(runtime, OperationKind.START, by, target=active, key=key)

    # -- data -------------------------------------------------------------------------------

    async def back_up(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin a backup of the app's data, whether it serves or not."""
        runtime = self.app(app)
        require_backups(runtime)
        return await self._begin(runtime, OperationKind.BACKUP, by, key=key)

    async def restore(
        self, app: str, backup: int, by: Requester, *, key: str | None = None
    ) -> Operation:
        """Begin to put the data of a backup in the place of those that a stopped app has."""
        runtime, kind, version = self.app(app), OperationKind.RESTORE, str(backup)
        if known := await begun_with(key, runtime, kind, version=version):
            return known
        if (busy := self.busy(app)) is not None:
            raise busy
        await require_restorable(runtime, backup)
        return await self._begin(runtime, kind, by, version=version, key=key)

    async def migrate(
        self, app: str, action: Action, name: str | None, by: Requester, *, key: str | None = None
    ) -> Operation:
        """Begin what is done to the app's migrations by hand."""
        runtime, kind = self.app(app), OperationKind.MIGRATE
        if known := await begun_with(key, runtime, kind):
            if ByHand.parse(known.version).action is not action:
                raise DuplicateKeyError(runtime.name, key or "", known.id)
            return known
        if (busy := self.busy(app)) is not None:
            raise busy
        self._active(runtime)
        request = await asked(runtime, action, name)
        if action is not Action.CHECK:
            require_backups(runtime)
        return await self._begin(runtime, kind, by, version=str(request), key=key)

    async def cancel(self, app: str) -> Operation:
        """End the operation in progress; returns it once all it did is undone."""
        run = self.running(self.app(app).name)
        if run is None or run.task is None:
            if left := [one for one in self.unsettled.values() if one.operation.app == app]:
                raise left[0].refusal()
            raise RefusedError(
                f"no operation is running on {app}", remedy=f"see it: bluegreen status {app}"
            )
        run.interrupt(Interruption.CANCEL)
        return await asyncio.shield(run.task)

    # -- switches ---------------------------------------------------------------------------

    async def switch(
        self, app: str, to: Slot | None, by: Requester, *, key: str | None = None
    ) -> Switched:
        """Move traffic to ``to``, or to the other slot; returns once it has moved.

        At once where that slot is ready; else its release is started and gated first. A release
        in progress is interrupted, never waited for longer than its undoing takes.
        """
        runtime = self.app(app)
        async with runtime.commit:
            # Asked in here: an equal request may have been moving the traffic until now.
            known = await begun_with(key, runtime, OperationKind.SWITCH, slot=to)
            if known is None:
                target = self._switch_target(runtime, to)
                barred = await self._past_schema(runtime, target)
                if barred is None and runtime.is_ready(target):
                    switched = await self._switch_now(runtime, target, by, key)
                    # It could not switch meanwhile: that takes the lock which is held here.
                    run = self.running(app)
                    if run is not None and not run.operation.kind.is_of_data:
                        run.interrupt(Interruption.SWITCH_BACK)
                    return switched
        if known is not None:
            return await self._switched(known)
        run = self.running(app)
        if run is not None and (run.operation.kind, run.target) == (OperationKind.SWITCH, target):
            return await self._switched(run.operation)  # asked for already
        await self._interrupt_and_wait(runtime)
        target = self._switch_target(runtime, to)
        barred = await self._past_schema(runtime, target)
        if barred is not None and barred.how is How.REVERSE:
            return await self._switch_with_reversal(runtime, target, by, key)
        refuse_by_schema(runtime, target, barred, await known_migrations(runtime))
        if runtime.slots[target].state is SlotState.EMPTY:
            raise RefusedError(
                f"{app}: the {target} slot holds no release to switch to",
                remedy=f"bring an older one back: bluegreen rollback {app} --to VERSION",
            )
        operation = await self._begin(
            runtime, OperationKind.SWITCH, by,
            target=target, version=runtime.slots[target].version, key=key,
        )  # fmt: skip
        return await self._switched(operation)

    async def _past_schema(self, app: AppRuntime, target: Slot) -> WayBack | None:
        """What has to be done before ``target`` can live with the schema; None: nothing.

        The store is asked only where that may be: it must not hinder any other switch.
        """
        section = app.settings.migrations
        if section is None or section.mode != "hold":
            return None
        return way_past_schema(app, app.slots[target], await known_migrations(app))

    async def _switch_with_reversal(
        self, app: AppRuntime, target: Slot, by: Requester, key: str | None
    ) -> Switched:
        """To a release that cannot live with the schema: what came after it is undone by name.

        The rollback to it does that, with its gate.
        """
        operation = await self._begin(
            app, OperationKind.ROLLBACK, by, version=app.slots[target].version, key=key
        )
        return await self._switched(operation)

    async def _switch_now(
        self, app: AppRuntime, to: Slot, by: Requester, key: str | None
    ) -> Switched:
        unsettled = [each.operation for each in self.unsettled.values()]
        recordable = not any((o.app, o.lane) == (app.name, Lane.SWITCH) for o in unsettled)
        try:
            switched = await switch_now(app, to, by, key, recordable=recordable)
        finally:
            if app.unrecorded and (app.name not in self._late or self._late[app.name].done()):
                self._late[app.name] = asyncio.create_task(
                    record_late(app), name=f"late record of {app.name}"
                )
        await self.warmth.schedule_cooling(app)
        return switched

    async def _switched(self, operation: Operation) -> Switched:
        """A switch operation, once it has succeeded; else RefusedError says why it has not."""
        operation = await self.outcome(operation)
        if operation.state is OperationState.SUCCEEDED and operation.slot is not None:
            return Switched(operation=operation, to=operation.slot, warnings=())
        error = operation.error
        raise RefusedError(
            error.message if error else f"operation {operation.id} is {operation.state}",
            detail=error.detail if error else (),
            remedy=error.remedy if error else f"see it: bluegreen status {operation.app}",
        )

    def _switch_target(self, app: AppRuntime, to: Slot | None) -> Slot:
        traffic = self.parts.traffic.read(app.name)
        active = self._deployed(app, traffic.active)
        if traffic.closed:
            raise RefusedError(
                f"{app.name} is out of service", remedy=f"bluegreen start {app.name}"
            )
        target = active.other if to is None else to
        if target is active:
            raise RefusedError(
                f"{app.name}: traffic is on {active} already ({app.slots[active].label})",
                remedy=f"see both slots: bluegreen status {app.name}",
            )
        return target

    async def _interrupt_and_wait(self, app: AppRuntime) -> None:
        run = self.running(app.name)
        if run is not None and run.task is not None:
            run.interrupt(Interruption.SWITCH_BACK)
            await asyncio.wait([run.task])

    # -- holds ------------------------------------------------------------------------------

    async def hold(self, app: str, seconds: float, by: Requester) -> Hold:
        """Have the app's new requests wait at nginx, for so long at the most."""
        runtime = self.app(app)
        async with runtime.admission:
            run = self.running(app)
            if run is not None and not run.operation.kind.is_of_data:
                raise busy_error(app, run.operation, next(reversed(run.recorded), None))
            return await self.holds.hold(runtime, seconds, by)

    async def release(self, app: str, by: Requester) -> Hold:
        """Let them through."""
        return await self.holds.release(self.app(app), by)

    # -- locks ------------------------------------------------------------------------------

    async def set_lock(self, lock: AppLock) -> None:
        self.app(lock.app)
        await self.parts.store.set_lock(lock)

    async def clear_lock(self, app: str) -> None:
        if not await self.parts.store.clear_lock(self.app(app).name):
            raise RefusedError(f"{app} is not locked", remedy="there is nothing to do")

    # -- running operations -----------------------------------------------------------------

    async def outcome(self, operation: Operation) -> Operation:
        """Wait until an operation has ended; returns it with its outcome."""
        run = self.running(operation.app)
        if run is not None and run.operation.id == operation.id and run.task is not None:
            await asyncio.wait([run.task])
        return await self.parts.store.operation(operation.id)

    async def _begin(
        self,
        app: AppRuntime,
        kind: OperationKind,
        by: Requester,
        *,
        version: str | None = None,
        target: Slot | None = None,
        pinned_commit: str | None = None,
        acknowledged: tuple[str, ...] = (),
        backup: int | None = None,
        key: str | None = None,
    ) -> Operation:
        async with app.admission:
            known = await begun_with(
                key, app, kind,
                version=version if kind in _NAMED_BY_VERSION else None,
                slot=target if kind is OperationKind.SWITCH else None,
                acknowledged=acknowledged, backup=backup,
            )  # fmt: skip
            if known is not None:
                return known
            if kind.is_release:
                await refuse_if_locked(app)
            if kind not in (OperationKind.SWITCH, OperationKind.BACKUP):
                refuse_if_held(app)
            if (busy := self.busy(app.name)) is not None:
                raise busy
            origin = app.active
            slot = target if target is not None else app.idle
            operation = await self.parts.store.create_operation(
                app=app.name, kind=kind, lane=Lane.RELEASE,
                version=version, slot=None if kind.is_of_data else slot, from_slot=origin,
                requested_by=by, idempotency_key=key,
                data=({"acknowledged": acknowledged} if acknowledged else {})
                | ({} if backup is None else {"backup": backup}),
            )  # fmt: skip
            run = Run(
                app=app, operation=operation, target=slot, origin=origin,
                pinned_commit=pinned_commit,
                gate_seconds=self._gate_seconds(app, kind, slot),
            )  # fmt: skip
            self.carry_on(run)
        return operation

    def _gate_seconds(self, app: AppRuntime, kind: OperationKind, slot: Slot) -> float | None:
        """How long a slot must be healthy before it gets traffic; None: as configured.

        A way back is not kept waiting, unless the release has crashed since it passed its gate.
        """
        crashed = app.slots[slot].state is SlotState.HOT and not app.is_ready(slot)
        return 0.0 if kind is OperationKind.SWITCH and not crashed else None

    def carry_on(self, run: Run, *, undo: bool = False) -> None:
        """Let an operation run from wherever it stands, or undo what it did."""
        run.task = asyncio.create_task(
            self._perform(run, undo), name=f"operation {run.operation.id} of {run.app.name}"
        )
        self._runs[run.app.name] = run

    async def _perform(self, run: Run, undo: bool) -> Operation:
        kind, version = run.operation.kind, run.operation.version
        # Also of one that the app file does not ask for any more: it has begun, and is undone.
        of_data = data_phases(kind, version, run.app.settings) | run.recorded.keys()
        of_backup = run.operation.backup is not None
        phases = phases_with_data() if of_backup else phases_of(kind, of_data)
        try:
            operation = await (conclude(run, phases, None) if undo else perform(run, phases))
        finally:
            self._runs.pop(run.app.name, None)
        await self._after(run)
        return operation

    async def _after(self, run: Run) -> None:
        """Leave the idle slot as warm as it should be, and no more output than is kept."""
        if not run.operation.state.is_final or run.interruption is Interruption.SHUTDOWN:
            return
        if PhaseName.SWITCH in run.recorded and not self.parts.traffic.read(run.app.name).closed:
            await keep_for_a_while(run.app)
        await self.warmth.keep(run.app)
        await remove_old(run.app)

    def interrupt(self) -> None:
        """The daemon ends: what has not been switched is undone, a watch goes on in the next."""
        for run in self._runs.values():
            run.interrupt(Interruption.SHUTDOWN)

    async def close(self) -> None:
        """Interrupt what runs, and wait until it is undone."""
        self.interrupt()
        tasks: list[asyncio.Task[Any]] = [
            run.task for run in self._runs.values() if run.task is not None
        ]
        if tasks:
            await asyncio.wait(tasks, timeout=SHUTDOWN_LIMIT)
        await self.warmth.close()
        await self.holds.close()
        for app in self.apps.values():
            await app.stop_warming()
        tasks += [*self._late.values(), *self._later]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for app in self.apps.values():
            while app.unrecorded and await record_next(app):
                pass

    # -- what happens by itself -------------------------------------------------------------

    def _on_change(self, status: UnitStatus) -> None:
        if status.state is not UnitState.BACKOFF:
            return
        message = f"{status.key.service} of {status.key.slot} ended: {status.last_exit}"
        run = self.running(status.key.app)
        named = run.named if run else {"app": status.key.app}
        log.warning("%s: %s", status.key.app, message, extra=named)
        self.later(
            self.parts.note(
                status.key.app, run.operation.id if run else None, "service",
                slot=status.key.slot, service=status.key.service,
                restarts=status.restarts, message=message,
            ),
            name=f"note of {status.key}",
        )  # fmt: skip

    def later(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Do ``work`` beside everything else; it is ended with the desk."""
        task = asyncio.create_task(work, name=name)
        self._later.add(task)
        task.add_done_callback(self._has_ended)

    def _has_ended(self, task: asyncio.Task[None]) -> None:
        self._later.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended with an error", task.get_name(), exc_info=error)

    def _active(self, app: AppRuntime) -> Slot:
        return self._deployed(app, app.active)

    def _deployed(self, app: AppRuntime, active: Slot | None) -> Slot:
        if active is None:
            raise RefusedError(
                f"{app.name} has never been deployed",
                remedy=f"deploy a version: bluegreen deploy {app.name} VERSION",
            )
        return active

    async def _version_before(self, app: AppRuntime) -> str:
        """The version that served before the present one began to."""
        serving = app.slots[self._active(app)].version
        before = await self.parts.store.served_before(app.name, serving)
        if before is None:
            raise RefusedError(
                f"{app.name}: no release before {serving} is in the history",
                remedy=f"name one: bluegreen rollback {app.name} --to VERSION",
            )
        return before
