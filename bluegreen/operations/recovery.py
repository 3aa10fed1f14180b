"""After a start: what did the last daemon leave, and is it to be finished or undone?

The store says what was intended, the world says what happened. Traffic is where the marker says;
an operation whose switch has happened, or that stands where a person may let it go on, is carried
on, any other is undone.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Collection, Sequence
from dataclasses import replace

from bluegreen.errors import BluegreenError, StoreError, TrafficError
from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseRecord,
    PhaseState,
    Requester,
    Slot,
    SlotState,
)
from bluegreen.operations.desk import Desk
from bluegreen.operations.forgotten_shares import ForgottenShares
from bluegreen.operations.phases.bring_back import goes_on_with_data, is_open
from bluegreen.operations.phases.steps import goes_on
from bluegreen.operations.phases.switch import switched_to
from bluegreen.operations.proof import gate_again
from bluegreen.operations.recorded_run import run_from_records
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime, together
from bluegreen.operations.switching import Attempt, record_next, slots_after
from bluegreen.operations.unsettled import Unsettled
from bluegreen.operations.unwritten import let_in, unwritten_since

log = logging.getLogger(__name__)

SOMEBODY = Requester(
    name="somebody, while nothing could be recorded", via="found at the daemon's start"
)


async def recover(desk: Desk, names: Collection[str]) -> None:
    """Let what serves run; finish or undo each operation that was left; warm the idle slots.

    Of the apps ``names``. Returns when all of it is under way: what takes time goes on as
    operations of their own, and what fails is tried again.
    """
    desk.queue.on_defect = functools.partial(_recover_from, desk)
    apps = [desk.apps[name] for name in names]
    for name in names:  # what goes on is told of anew
        await desk.watching.take_over(name)
    left = await desk.parts.store.unfinished()
    unfinished = [one for one in left if one.state is not OperationState.QUEUED]
    stopped = {one.app for one in unfinished if one.app in names and await _is_drained(desk, one)}
    numbers = {None, *(operation.id for operation in unfinished)}
    # Of an operation that has ended it says that the data are not put back.
    stopped |= {app.name for app in apps if unwritten_since(app.layout) not in numbers}
    # One that has to say that it is ready must not keep the others waiting.
    await together(_start_active(desk, app) for app in apps if app.name not in stopped)
    for app in apps:
        await _note_unseen_switch(desk, app)
    for operation in unfinished:
        if operation.app in names:
            await _recover_or_say(desk, desk.apps[operation.app], operation)
        elif operation.app not in desk.apps:
            said = "operation %d is of %s, which is gone"
            log.warning(said, operation.id, operation.app, extra=_named(operation))
    shares = ForgottenShares(desk.warmth)
    for app in apps:
        if desk.running(app.name) is None:
            await _put_right(desk, app, shares)
    await desk.waiting.take_over(
        names, [one for one in left if one.state is OperationState.QUEUED], desk.apps
    )


async def _put_right(desk: Desk, app: AppRuntime, shares: ForgottenShares) -> None:
    """Of an app nobody works on: all clients come back, and the idle slot is as warm as it was.

    But for what an operation has left that is not settled yet: it goes on from there, or undoes it,
    and what it was about to gate is nothing to be called ready meanwhile.
    """
    left = [one.operation.id for one in desk.unsettled.of(app.name)]
    if not left:
        await shares.end(app)
    if app.slots[app.idle].operation not in left:
        await desk.warmth.keep(app)


async def _note_unseen_switch(desk: Desk, app: AppRuntime) -> None:
    """Record a switch that is not in the history: the disk was full, or there was no daemon.

    A person has decided it, so it is what automatic releases wait for, from now on.
    """
    try:
        known = await desk.parts.store.last_moved_to(app.name)
    except StoreError as error:
        log.warning("%s: %s", app.name, error.message, extra={"app": app.name})
        return
    active = app.active
    if active is None or known is None or known is active:
        return
    message = f"traffic was found on {active}, and the history had it on {known}"
    log.warning("%s: %s", app.name, message, extra={"app": app.name})
    app.slots.update({record.slot: record for record in slots_after(app, active)})
    app.unrecorded.append(Attempt(active, SOMEBODY, None))
    if await record_next(app):
        await app.parts.note(app.name, None, "warning", message=message)
    else:
        desk.record_late(app)


async def _is_drained(desk: Desk, operation: Operation) -> bool:
    """Whether it has the slot that the marker names stopped, and has still to say what serves.

    Its hold may be over by now, and nothing may be started all the same: the data are not put back.
    """
    app = desk.apps[operation.app]
    held = desk.parts.traffic.read(app.name).held
    try:
        records = await desk.parts.store.phases(operation.id)
    except StoreError:
        return held is not None and held.operation == operation.id
    states = {record.phase: record.state for record in records}
    if states.get(PhaseName.SWITCH) is PhaseState.UNDOING:
        return held is not None and held.operation == operation.id  # the slots change places
    if let_in(app.layout, operation.id, states):
        return False
    drain = states.get(PhaseName.DRAIN, PhaseState.UNDONE)
    return drain is not PhaseState.UNDONE and app.active is operation.from_slot


async def _recover_or_say(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    """One app's trouble keeps no other app from being served."""
    try:
        await _recover_one(desk, app, operation)
    except Exception as error:
        await _say(app, operation, error)
        _recover_from(desk, app, operation, error)


def _recover_from(desk: Desk, app: AppRuntime, operation: Operation, error: Exception) -> None:
    """The store has it as running, and nobody performs it."""
    left = _leave(desk, operation, error)
    name = f"recover operation {operation.id} of {app.name}"
    desk.later(_recover_later(desk, app, left), name=name)


def _leave(desk: Desk, operation: Operation, error: Exception) -> Unsettled:
    """Count the attempt that has failed."""
    before = desk.unsettled.get(operation.id)
    left = Unsettled(operation=operation, error=error) if before is None else before.again(error)
    desk.unsettled[operation.id] = left
    return left


async def _recover_later(desk: Desk, app: AppRuntime, left: Unsettled) -> None:
    """Until it is settled the app is busy with it, so it is tried again and again."""
    operation, said = left.operation, str(left.error)
    while desk.apps.get(app.name) is app:
        await asyncio.sleep(left.wait)
        try:
            await _recover_one(desk, app, operation)
        except Exception as error:
            left = _leave(desk, operation, error)
            if str(error) != said:
                said = str(error)
                await _say(app, operation, error)
        else:
            await _performed(desk, app, operation)
            break
    if desk.unsettled.get(operation.id) is left:  # else a defect has ended it once more
        del desk.unsettled[operation.id]
        desk.waiting.look(app)


async def _performed(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    """Wait until it is finished or undone, or a defect has ended that."""
    run = desk.running(app.name)
    if run is not None and run.task is not None and run.operation.id == operation.id:
        await asyncio.wait([run.task])


async def _say(app: AppRuntime, operation: Operation, error: Exception) -> None:
    expected = isinstance(error, BluegreenError)
    log.error(
        "operation %d of %s is not settled yet: %s", operation.id, app.name, error,
        exc_info=None if expected else error, extra=_named(operation),
    )  # fmt: skip
    message = f"operation {operation.id} is not settled yet: {error}"
    await app.parts.note(app.name, operation.id, "warning", message=message)


def _named(operation: Operation) -> dict[str, object]:
    return {"app": operation.app, "operation": operation.id}


async def _recover_one(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    try:
        await desk.parts.traffic.agree(app.settings)
    except TrafficError as error:
        # nginx will serve what the marker says as soon as it serves at all.
        await _say(app, operation, error)
    if operation.lane is Lane.SWITCH:
        await _settle_switch(desk, app, operation)
    else:
        await _recover_operation(desk, app, operation)


async def _settle_switch(desk: Desk, app: AppRuntime, operation: Operation) -> None:
    """An instant switch: the marker says whether it happened."""
    to, share = operation.slot, desk.parts.traffic.read(app.name).share
    are_back = share is None or share.slot is to  # those whom a release in steps had led away
    if to is not None and app.active is to and are_back:
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
    records = await desk.parts.store.phases(operation.id)
    run = run_from_records(app, operation, records)
    log.info(
        "operation %d of %s was in %s", operation.id, app.name, _last_phase(records),
        extra=run.named,
    )  # fmt: skip
    await run.note("warning", message=f"the daemon ended in {_last_phase(records)}")
    if operation.kind is OperationKind.STOP:
        desk.queue.carry_on(run, undo=_failed(run))  # each step may be repeated
        return
    if operation.kind is OperationKind.START:
        run.repeats = True  # what was started and gated may have ended since
        desk.queue.carry_on(run, undo=_failed(run))
        return
    if operation.kind.is_of_data:
        desk.queue.carry_on(run, undo=not await _goes_on(run))
        return
    if operation.backup is not None:
        if goes_on_with_data(run) and is_open(run) and not run.switched:
            data = {"from": run.origin, "to": run.target, "open": run.target, "observed": True}
            await run.record(PhaseName.SWITCH, PhaseState.DONE, data, slot=switched_to(run))
        desk.queue.carry_on(run, undo=not goes_on_with_data(run))
        return
    await _recover_release(desk, run)


async def _recover_release(desk: Desk, run: Run) -> None:
    """Also a switch to a slot that has to be started first."""
    app = run.app
    if run.stands and app.active is run.origin and goes_on(run) and not _failed(run):
        if PhaseName.GATE in run.recorded:
            await _start_services(app, run.target)  # after a reboot
        desk.queue.carry_on(run)
        return
    undoing = PhaseState.UNDOING in run.recorded.values()
    moved = app.active is run.target and run.target is not run.origin
    if moved and not undoing and PhaseName.SWITCH in run.recorded:
        if run.recorded[PhaseName.SWITCH] is PhaseState.INTENT:
            # nginx serves from there already; all that is missing is the record.
            data = {"from": run.origin, "to": run.target, "observed": True}
            await run.record(PhaseName.SWITCH, PhaseState.DONE, data, slot=switched_to(run))
        if run.recorded[PhaseName.SWITCH] is PhaseState.DONE and not _failed(run):
            # The way back, while it is watched; not once its schema may be gone.
            gone = run.drained or PhaseName.REVERSE in run.recorded
            if run.origin is not None and not gone and app.settings.app.overlap:
                await _start_services(app, run.origin)
            desk.queue.carry_on(run)
            return
    desk.queue.carry_on(run, undo=True)


async def _goes_on(run: Run) -> bool:
    """Whether an operation on data is finished: a backup that is whole, a restore that began to
    replace what was there, migrations that were run. Each of their steps may be repeated."""
    if _failed(run):
        return False
    if run.operation.kind is OperationKind.RESTORE:
        return PhaseName.RESTORE in run.recorded
    if run.operation.kind is OperationKind.MIGRATE:
        if PhaseName.HOLD in run.recorded:
            return run.switched  # until then nobody but it has written, and all of it is undone
        return run.recorded.get(PhaseName.MIGRATE) is PhaseState.DONE
    return await run.app.backups.has(run.operation.id)


def _failed(run: Run) -> bool:
    return any(
        state is not PhaseState.DONE and state is not PhaseState.INTENT
        for state in run.recorded.values()
    )


def _last_phase(records: Sequence[PhaseRecord]) -> str:
    if not records:
        return "its first moment"
    last = records[-1]
    return last.phase if last.state is PhaseState.INTENT else f"{last.phase} ({last.state})"


async def _start_active(desk: Desk, app: AppRuntime) -> None:
    """The marker is the one truth of what serves: that slot is to run."""
    traffic = desk.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed:
        return
    await _start_services(app, traffic.active)
    serving = app.slots[traffic.active]
    if serving.state is SlotState.COLD:
        app.slots[traffic.active] = replace(serving, state=SlotState.STARTING)
    if not app.is_proved(traffic.active):
        name = f"prove {app.name} {traffic.active}"
        desk.later(_prove(app, traffic.active), name=name)


async def _prove(app: AppRuntime, slot: Slot) -> None:
    """Until it is proved, the slot that serves after a reboot is no place to switch back to."""
    logs = app.layout.operation_logs(app.slots[slot].operation or 0)
    try:
        await gate_again(app, slot, logs, lambda _: None)
    except BluegreenError as error:
        message = f"{slot} serves and is not well: {error.message}"
        log.error("%s: %s", app.name, message, extra={"app": app.name})
        await app.parts.note(app.name, None, "warning", message=message)


async def _start_services(app: AppRuntime, slot: Slot) -> None:
    """What does not run any more is started, and has to pass its gate before it is ready again."""
    record = app.slots[slot]
    if record.state is SlotState.HOT and not app.is_running(slot):
        # Written down first: killed right after the start, the next daemon finds it running.
        await app.keep_slot(replace(record, state=SlotState.STARTING, gated_by=None))
    try:
        await app.start_services(slot)
    except BluegreenError as error:
        log.error(
            "%s: %s does not start: %s", app.name, slot, error.message, extra={"app": app.name}
        )
        await app.parts.note(app.name, None, "warning", message=error.message)
