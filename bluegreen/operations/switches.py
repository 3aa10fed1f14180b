"""Switches of traffic: at once where the slot is ready, else through an operation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bluegreen.errors import RefusedError
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    OperationState,
    Requester,
    Slot,
    SlotState,
)
from bluegreen.operations.holding import refuse_if_held
from bluegreen.operations.keys import begun_with
from bluegreen.operations.parts import Parts
from bluegreen.operations.queue import Queue
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.switching import Switched, record_late, record_next, switch_now
from bluegreen.operations.unsettled import AllUnsettled
from bluegreen.operations.warmth import Warmth
from bluegreen.operations.way_back import (
    How,
    WayBack,
    known_migrations,
    refuse_by_schema,
    way_past_schema,
    with_its_backup,
)
from bluegreen.processes import tell_if_failed


class Switches:
    """The switches of all apps, and the tasks that record late what the store could not take."""

    def __init__(self, parts: Parts, queue: Queue, warmth: Warmth, unsettled: AllUnsettled) -> None:
        self._parts = parts
        self._queue = queue
        self._warmth = warmth
        self._unsettled = unsettled
        self._late: dict[str, asyncio.Task[None]] = {}

    async def switch(
        self, runtime: AppRuntime, to: Slot | None, by: Requester, *, key: str | None = None
    ) -> Switched:
        """See `Desk.switch`."""
        with self._queue.aside(runtime):
            return await self._switch(runtime, to, by, key)

    async def _switch(
        self, runtime: AppRuntime, to: Slot | None, by: Requester, key: str | None
    ) -> Switched:
        app = runtime.name
        async with runtime.commit:
            # Asked in here: an equal request may have been moving the traffic until now.
            known = await begun_with(key, runtime, OperationKind.SWITCH, slot=to)
            if known is None:
                target = self._switch_target(runtime, to)
                barred = await _past_schema(runtime, target)
                held = runtime.parts.traffic.read(app).held
                # While an operation holds requests, the data are on their way to one version.
                free = barred is None and (held is None or held.operation is None)
                # In steps the one that serves is the one to go back to, whatever it has become.
                if free and (runtime.is_ready(target) or target is runtime.active):
                    switched = await self._switch_now(runtime, target, by, key)
                    # It could not switch meanwhile: that takes the lock which is held here.
                    run = self._queue.running(app)
                    if run is not None and not run.operation.kind.is_of_data:
                        run.interrupt(Interruption.SWITCH_BACK)
                    return switched
        if known is not None:
            return await self._switched(known)
        run = self._queue.running(app)
        _refuse_if_not_promoted(run, to)
        if run is not None and run.target is target and _is_of_switch(run.operation):
            return await self._switched(run.operation)  # asked for already
        reverses = barred is not None and barred.how is How.REVERSE
        if reverses or not runtime.settings.app.overlap:
            refuse_if_held(runtime)  # before anything is interrupted for it
        if run is None or run.target is not target:  # what it is to go to stays what it is
            await _refuse_by_schema(runtime, target, barred)
        await self._interrupt_and_wait(runtime)
        target = self._switch_target(runtime, to)
        barred = await _past_schema(runtime, target)
        if barred is not None and barred.how is How.REVERSE:
            return await self._switch_with_reversal(runtime, target, by, key)
        await _refuse_by_schema(runtime, target, barred)
        if runtime.slots[target].state is SlotState.EMPTY:
            raise RefusedError(
                f"{app}: the {target} slot holds no release to switch to",
                remedy=f"bring an older one back: bluegreen rollback {app} --to VERSION",
            )
        operation = await self._queue.begin(
            runtime, OperationKind.SWITCH, by,
            target=target, version=runtime.slots[target].version, key=key,
        )  # fmt: skip
        return await self._switched(operation)

    async def _switch_with_reversal(
        self, app: AppRuntime, target: Slot, by: Requester, key: str | None
    ) -> Switched:
        """To a release that cannot live with the schema: what came after it is undone by name.

        The rollback to it does that, under a hold.
        """
        held = app.slots[target]
        operation = await self._queue.begin(
            app, OperationKind.ROLLBACK, by,
            version=held.version, pinned_commit=held.commit, of_switch=True,
            target=target, key=key,
        )  # fmt: skip
        return await self._switched(operation)

    async def fail_over(self, app: AppRuntime, by: Requester) -> Switched:
        """To the other slot, at once or not at all. Raises RefusedError, TrafficError.

        It interrupts nothing, starts nothing and touches no data.
        """
        with self._queue.aside(app):
            async with app.commit:
                target = self._switch_target(app, None)
                reason: str | None = None
                if self._queue.running(app.name) is not None:
                    reason = "an operation goes on"
                elif app.parts.traffic.read(app.name).held is not None:
                    reason = "its requests are held"
                elif not app.is_ready(target):
                    reason = f"{target} is not ready"
                elif await _past_schema(app, target) is not None:
                    reason = f"{target} cannot live with the data as they are now"
                if reason is not None:
                    raise RefusedError(
                        f"{app.name}: {reason}", remedy=f"see it: bluegreen status {app.name}"
                    )
                return await self._switch_now(app, target, by, None)

    async def _switch_now(
        self, app: AppRuntime, to: Slot, by: Requester, key: str | None
    ) -> Switched:
        lanes = [left.operation.lane for left in self._unsettled.of(app.name)]
        recordable = Lane.SWITCH not in lanes
        try:
            switched = await switch_now(app, to, by, key, recordable=recordable)
        finally:
            self.record_late(app)
        await self._warmth.schedule_cooling(app, to.other)
        return switched

    def record_late(self, app: AppRuntime) -> None:
        """Have what is not in the history written there as soon as the store takes it."""
        if app.unrecorded and (app.name not in self._late or self._late[app.name].done()):
            late = asyncio.create_task(record_late(app), name=f"late record of {app.name}")
            late.add_done_callback(tell_if_failed)
            self._late[app.name] = late

    async def _switched(self, operation: Operation) -> Switched:
        """A switch operation, once it has succeeded; else RefusedError says why it has not.

        One that had to become a rollback is not waited for any longer once traffic has moved: the
        release is watched then.
        """
        waits = self._queue.moved if operation.of_switch else self._queue.outcome
        operation = await waits(operation)
        going_on = operation.of_switch and operation.state is OperationState.RUNNING
        done = going_on or operation.state is OperationState.SUCCEEDED
        if done and operation.slot is not None:
            return Switched(operation=operation, to=operation.slot, warnings=())
        error = operation.error
        raise RefusedError(
            error.message if error else f"operation {operation.id} is {operation.state}",
            detail=error.detail if error else (),
            remedy=error.remedy if error else f"see it: bluegreen status {operation.app}",
        )

    def _switch_target(self, app: AppRuntime, to: Slot | None) -> Slot:
        traffic = self._parts.traffic.read(app.name)
        active = deployed(app, traffic.active)
        if traffic.closed:
            raise RefusedError(
                f"{app.name} is out of service", remedy=f"bluegreen start {app.name}"
            )
        back = active.other if traffic.share is None else active
        target = back if to is None else to
        if target is active and traffic.share is None:
            raise RefusedError(
                f"{app.name}: traffic is on {active} already ({app.slots[active].label})",
                remedy=f"see both slots: bluegreen status {app.name}",
            )
        return target

    async def _interrupt_and_wait(self, app: AppRuntime) -> None:
        async with app.admission:
            pass  # what is being recorded as begun at this very moment is known once it is
        run = self._queue.running(app.name)
        if run is not None and run.task is not None:
            run.interrupt(Interruption.SWITCH_BACK)
            await run.ended()

    async def close(self, apps: Iterable[AppRuntime]) -> None:
        """Record what is not recorded yet, as far as the store takes it."""
        late = [*self._late.values()]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for app in apps:
            while app.unrecorded and await record_next(app):
                pass


def _refuse_if_not_promoted(run: Run | None, to: Slot | None) -> None:
    """Raises RefusedError where ``to`` is named for a release there that waits for a person.

    It would be taken back, and traffic would go to what the slot held before.
    """
    if run is not None and to is run.target and run.promotion is not None:
        app = run.app.name
        raise RefusedError(
            f"{app}: {run.operation.version} in {to} waits to be promoted",
            remedy=f"let it go on: bluegreen promote {app}; or take it back, and go to what {to} "
            f"held before: bluegreen switch back {app}",
        )


def _is_of_switch(operation: Operation) -> bool:
    return operation.kind is OperationKind.SWITCH or operation.of_switch


def deployed(app: AppRuntime, active: Slot | None) -> Slot:
    """``active``, where there is one. Raises RefusedError."""
    if active is None:
        raise RefusedError(
            f"{app.name} has never been deployed",
            remedy=f"deploy a version: bluegreen deploy {app.name} VERSION",
        )
    return active


async def _past_schema(app: AppRuntime, target: Slot) -> WayBack | None:
    """What has to be done before ``target`` can live with the schema; None: nothing.

    The store is asked only where that may be: it must not hinder any other switch.
    """
    section = app.settings.migrations
    if section is None or section.mode != "hold":
        return None
    return way_past_schema(app, app.slots[target], await known_migrations(app))


async def _refuse_by_schema(app: AppRuntime, target: Slot, barred: WayBack | None) -> None:
    if barred is not None:
        barred = await with_its_backup(app, app.slots[target], barred)
    refuse_by_schema(app, target, barred, await known_migrations(app))
