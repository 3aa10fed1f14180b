"""After a start: what did the last daemon leave, and is it to be finished or undone?

The store says what was intended, the world says what happened. Traffic is where the marker says;
an operation whose switch has happened is carried on, any other is undone.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bluegreen.errors import BluegreenError
from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseRecord,
    PhaseState,
    Release,
    ServiceUnit,
    Slot,
    SlotState,
)
from bluegreen.operations.desk import Desk
from bluegreen.operations.phases.switch import switched_to
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.slot_records import record_from_data
from bluegreen.operations.switching import slots_after

log = logging.getLogger(__name__)


async def units_that_may_run(apps: Sequence[AppRuntime]) -> list[ServiceUnit]:
    """The units to be found again: all of every slot that the store does not call cold or empty."""
    units: list[ServiceUnit] = []
    for app in apps:
        for slot in Slot:
            if app.slots[slot].state not in (SlotState.HOT, SlotState.STARTING):
                continue
            try:
                units += await asyncio.to_thread(app.units, slot)
            except BluegreenError as error:
                log.error("%s: %s cannot be supervised: %s", app.name, slot, error.message)
                await app.parts.note(app.name, None, "warning", message=error.message)
    return units


async def recover(desk: Desk) -> None:
    """Let what serves run; finish or undo each operation that was left; warm the idle slots.

    Returns when all of it is under way: what takes time goes on as operations of their own.
    """
    for app in desk.apps.values():
        await _start_active(desk, app)
    for operation in await desk.parts.store.unfinished():
        left = desk.apps.get(operation.app)
        if left is None:
            log.warning("operation %d is of %s, which is gone", operation.id, operation.app)
        elif operation.lane is Lane.SWITCH:
            await _settle_switch(desk, left, operation)
        else:
            await _recover_operation(desk, left, operation)
    for app in desk.apps.values():
        if desk.running(app.name) is None:
            await _warm_idle(desk, app)


async def _settle_switch(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    """An instant switch: the marker says whether it happened."""
    await desk.parts.traffic.agree(app.settings)
    to = operation.slot
    if to is not None and app.active is to:
        slots = slots_after(app, to)
        app.slots.update({record.slot: record for record in slots})
        await desk.parts.store.finish_operation(
            operation.id,
            OperationState.SUCCEEDED,
            phase=(PhaseName.SWITCH, PhaseState.DONE, {"to": to, "observed": True}),
            slots=slots,
        )
        return
    await desk.parts.store.finish_operation(
        operation.id,
        OperationState.INTERRUPTED,
        error=OperationError(
            kind="interrupted",
            message=f"the daemon ended before traffic moved; {app.active} serves",
            remedy=f"switch again: bluegreen switch to {to} {app.name}",
        ),
        phase=(PhaseName.SWITCH, PhaseState.FAILED, {}),
    )


async def _recover_operation(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    await desk.parts.traffic.agree(app.settings)
    records = await desk.parts.store.phases(operation.id)
    run = _run_from(app, operation, records)
    log.info("operation %d of %s was in %s", operation.id, app.name, _last_phase(records))
    await run.note("warning", message=f"the daemon ended in {_last_phase(records)}")
    if operation.kind in (OperationKind.STOP, OperationKind.START):
        desk.carry_on(run)  # each step may be repeated, and ends where it was going
        return
    undoing = PhaseState.UNDOING in run.recorded.values()
    moved = app.active is run.target and run.target is not run.origin
    if moved and not undoing and PhaseName.SWITCH in run.recorded:
        if run.recorded[PhaseName.SWITCH] is PhaseState.INTENT:
            # nginx serves from there already; all that is missing is the record.
            data = {"from": run.origin, "to": run.target, "observed": True}
            await run.record(PhaseName.SWITCH, PhaseState.DONE, data, slot=switched_to(run))
        if run.recorded[PhaseName.SWITCH] is PhaseState.DONE and not _failed(run):
            desk.carry_on(run)
            return
    desk.carry_on(run, undo=True)


def _failed(run: Run) -> bool:
    return any(
        state is not PhaseState.DONE and state is not PhaseState.INTENT
        for state in run.recorded.values()
    )


def _last_phase(records: Sequence[PhaseRecord]) -> str:
    return f"{records[-1].phase} ({records[-1].state})" if records else "its first moment"


def _run_from(app: AppRuntime, operation: Operation, records: Sequence[PhaseRecord]) -> Run:
    """The run as the records tell it."""
    run = Run(
        app=app,
        operation=operation,
        target=operation.slot or app.idle,
        origin=operation.from_slot,
        recorded={record.phase: record.state for record in records},
        switched=any(r.phase is PhaseName.SWITCH and r.state is PhaseState.DONE for r in records),
    )
    intents = {r.phase: r.data for r in records if r.state is PhaseState.INTENT}
    if start := intents.get(PhaseName.START):
        run.previous = record_from_data(start["previous"])
        run.tree = Path(start["tree"]) if start["tree"] is not None else None
    if watch := intents.get(PhaseName.WATCH):
        run.watch_deadline = float(watch["until"])
    if operation.version is not None and run.tree is not None:
        run.release = Release(
            app=app.name, version=operation.version, commit=operation.commit, origin=""
        )
    return run


async def _start_active(desk: Desk, app: AppRuntime) -> None:
    """The marker is the one truth of what serves: that slot is to run."""
    traffic = desk.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed:
        return
    serving = app.slots[traffic.active]
    try:
        await app.start_services(traffic.active)
    except BluegreenError as error:
        log.error("%s: %s does not start: %s", app.name, traffic.active, error.message)
        await app.parts.note(app.name, None, "warning", message=error.message)
    if serving.state is SlotState.COLD:
        await app.save_slot(replace(serving, state=SlotState.STARTING))


async def _warm_idle(desk: Desk, app: AppRuntime) -> None:
    """Keep the idle slot hot if it is to be, and its time is not over."""
    traffic = desk.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed:
        return
    idle = app.slots[traffic.active.other]
    over = idle.hot_until is not None and idle.hot_until <= time.time()
    running = idle.state in (SlotState.HOT, SlotState.STARTING)
    if running and not over and not app.is_ready(idle.slot):
        await desk.warmth.warm(app, idle.slot)
    await desk.warmth.schedule_cooling(app)
