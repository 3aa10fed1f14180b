"""The path an operation takes through its phases, and the way back when one of them fails.

Persist the intent, act, look at the world, record. Each phase's intent is one committed row before
its first side effect, so that recovery can finish or undo what it finds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, ClassVar

from bluegreen.errors import BluegreenError, IllegalTransitionError, StoreError
from bluegreen.model import Operation, OperationError, OperationState, PhaseName, PhaseState
from bluegreen.operations.outcomes import (
    ended_by_operator,
    outcome_of,
    reason_of,
    unexpected,
    with_what_is_left,
)
from bluegreen.operations.phases.hold import let_through
from bluegreen.operations.phases.promote import has_waited_elsewhere
from bluegreen.operations.putting_back import record_as_before
from bluegreen.operations.run import Interruption, Phase, Run
from bluegreen.operations.unwritten import end_promise
from bluegreen.store.waiting import ATTEMPTS

log = logging.getLogger(__name__)

UNDO_SLACK = 60.0  # seconds for an undo, beside what its phase and a gate may take
FULL_DISK_RETRY = 2.0  # seconds between attempts to record an outcome


class PhaseTimeoutError(BluegreenError):
    """A phase took longer than it may."""

    kind: ClassVar[str] = "timeout"


async def perform(run: Run, phases: Sequence[Phase]) -> Operation:
    """Take ``run`` through ``phases`` and record its outcome, whatever happens on the way."""
    error = await _walk(run, phases)
    await run.notes_written()
    if error is not None and await _is_host_ending(run):
        # Services end with their host: that is no fault of the release.
        log.info("operation %d: the host goes down: %s", run.operation.id, error, extra=run.named)
        run.interruption, error = Interruption.SHUTDOWN, None
    settling = run.recorded.get(PhaseName.SETTLE)
    if error is None and (run.interruption is None or settling is PhaseState.DONE):
        return await _finish(run, OperationState.SUCCEEDED, None)
    if settling is not None and run.interruption is not Interruption.SHUTDOWN:
        # The release has proved itself: clearing up after it is no reason to take it back.
        await run.note("warning", message=f"settling is not complete: {error or 'interrupted'}")
        return await _finish(run, OperationState.SUCCEEDED, None, open_phase=_phase_it_is_in(run))
    return await conclude(run, phases, error)


async def _walk(run: Run, phases: Sequence[Phase]) -> BluegreenError | None:
    """Take ``run`` through ``phases`` until one fails, which is returned, or it is interrupted."""
    try:
        run.in_phases = True
        for number, phase in enumerate(phases):
            if run.interruption is not None:
                break
            if not _is_left_out(run, phase, phases[number + 1 :]):
                await _step(run, phase)
    except asyncio.CancelledError:
        if run.interruption is None:
            raise  # the daemon itself is being torn down: recovery will decide
        if run.task is not None:
            run.task.uncancel()
    except BluegreenError as caught:
        return caught
    except Exception as caught:
        log.exception("operation %d of %s failed", run.operation.id, run.app.name, extra=run.named)
        return unexpected(caught)
    finally:
        run.in_phases, run.ending = False, True
    return None


def _is_left_out(run: Run, phase: Phase, later: Sequence[Phase]) -> bool:
    """Whether the operation has gone past ``phase`` without it, in an earlier daemon.

    There was nothing to do then. What it would see now has come of the phases after it, or of an
    app file that has changed since.
    """
    if phase.name in run.recorded:
        return False
    # Of the two places to wait for a person it was at one: the other tells nothing.
    return any(one.name in run.recorded and not has_waited_elsewhere(one, run) for one in later)


async def conclude(run: Run, phases: Sequence[Phase], error: BluegreenError | None) -> Operation:
    """End an operation that did not succeed: undo what it did and record why.

    Where the host goes down it is left to the daemon of the next boot: systemd starts nothing then.
    """
    run.ending = True
    if run.interruption is Interruption.SHUTDOWN and await _is_host_ending(run):
        return run.operation
    switched = run.recorded.get(PhaseName.SWITCH) is PhaseState.DONE
    if run.interruption is Interruption.SHUTDOWN and error is None and run.stands:
        return run.operation  # the next daemon goes on there
    if switched and run.interruption is Interruption.SHUTDOWN:
        await _let_through(run)
        return run.operation  # the next daemon goes on with the watch, or with settling
    if switched and run.interruption is not None and error is None:
        # Traffic has moved, and an operator has decided: there is nothing to undo.
        # The phase it was in ends in the same transaction: half of that would look like an illness.
        state, reason = ended_by_operator(run), reason_of(run, error)
        return await _finish(run, state, reason, open_phase=_phase_it_is_in(run))
    by_a_person = run.interruption in (Interruption.CANCEL, Interruption.SWITCH_BACK)
    run.given_up = run.given_up or by_a_person or error is not None
    went_back = await undo(run, phases)
    if went_back is None:
        return run.operation
    reason = with_what_is_left(run, reason_of(run, error))
    return await _finish(run, outcome_of(run, error, run.switched and went_back), reason)


async def _is_host_ending(run: Run) -> bool:
    try:
        return await run.app.parts.supervisor.is_host_ending()
    except BluegreenError as error:
        log.warning(
            "operation %d: does the host go down? %s", run.operation.id, error, extra=run.named
        )
        return False


def _phase_it_is_in(run: Run) -> Sequence[PhaseName]:
    return [name for name, state in run.recorded.items() if state is PhaseState.INTENT]


async def _step(run: Run, phase: Phase) -> None:
    state = run.recorded.get(phase.name)
    if state is PhaseState.DONE and not run.repeats:
        return
    if state is None:
        if (intent := phase.intent(run)) is None:
            return
        await run.record(phase.name, PhaseState.INTENT, intent)
    limit = phase.limit(run)
    left = _held_on(run, phase)
    try:
        async with asyncio.timeout(limit if left is None else min(limit, left)) as clock:
            data = await phase.act(run)
    except TimeoutError as error:
        if not clock.expired():
            raise
        if left is not None and left < limit:
            raise _held_too_long(run, phase) from error
        raise PhaseTimeoutError(
            f"the {phase.name} phase of {run.app.name} took longer than {limit:g} s",
            remedy=f"see what it was doing: bluegreen logs {run.app.name} {run.operation.id} "
            f"--phase {phase.name}",
        ) from error
    if run.recorded[phase.name] is PhaseState.INTENT:
        await run.record(phase.name, PhaseState.DONE, data)


def _held_on(run: Run, phase: Phase) -> float | None:
    """Seconds that requests may still be held on the way forward; None where none are."""
    if run.forward_until is None or phase.name is PhaseName.SWITCH or run.switched:
        return None
    return max(0.0, run.forward_until - asyncio.get_running_loop().time())


def _held_too_long(run: Run, phase: Phase) -> PhaseTimeoutError:
    hold, app = run.app.settings.hold, run.app.name
    return PhaseTimeoutError(
        f"{app}: its requests had waited for {hold.forward:.1f} s in the {phase.name} phase, and "
        f"may wait for {hold.limit:g} s, a third of which is kept for the way back",
        remedy=f"see what it was doing: bluegreen logs {app} {run.operation.id} --phase "
        f"{phase.name}; allow more with limit in [hold] of its app file",
    )


async def undo(run: Run, phases: Sequence[Phase]) -> bool | None:
    """Undo the begun phases, newest first; False if one of them knew no way back.

    None if one has failed as the host goes down: the rest is left with it.
    """
    for phase in reversed(phases):
        state = run.recorded.get(phase.name)
        if state in (None, PhaseState.UNDONE):
            continue
        if state is PhaseState.INTENT:
            await _record_if_possible(run, phase.name, PhaseState.FAILED)
        if phase.leaves_nothing:
            continue
        await _record_if_possible(run, phase.name, PhaseState.UNDOING)
        limit = UNDO_SLACK + phase.limit(run) + run.app.settings.gate.deadline
        try:
            async with asyncio.timeout(limit):
                went_back = await phase.undo(run)
            ended = PhaseState.UNDONE if went_back else PhaseState.FAILED
        except Exception as error:
            if await _is_host_ending(run):
                return None
            await _say_not_undone(run, phase.name, error)
            # What still has traffic is not stopped.
            went_back = phase.name not in (PhaseName.SWITCH, PhaseName.STEPS)
            ended = PhaseState.FAILED
        await _record_if_possible(run, phase.name, ended)
        if not went_back:
            return False
    return True


async def _say_not_undone(run: Run, phase: PhaseName, error: Exception) -> None:
    """In the operation's events and in the log; with its trace if it is a defect."""
    trace: Exception | None = None
    failed = f"undoing the {phase} phase failed"
    if isinstance(error, BluegreenError):
        said = f"{error.message}; {error.remedy}"
        failed = f"the {phase} phase is not undone" if error.kind == "not-undone" else failed
    else:
        said, trace = f"unexpected {type(error).__name__}: {error}", error
    log.error(
        "operation %d: %s: %s", run.operation.id, failed, said,
        exc_info=trace, extra=run.named,
    )  # fmt: skip
    await run.note("warning", message=f"{failed}: {said}")


async def _record_if_possible(run: Run, phase: PhaseName, state: PhaseState) -> None:
    """Undoing needs no new intent: what is undone was recorded, and a full disk may not stop it."""
    if run.recorded.get(phase) is state:
        return
    run.recorded[phase] = state
    run.unrecorded.append((phase, state))
    try:
        await _catch_up(run)
    except StoreError as error:
        log.warning(
            "operation %d: %s %s: %s", run.operation.id, phase, state, error.message,
            extra=run.named,
        )  # fmt: skip


async def _catch_up(run: Run) -> None:
    """Record what a full disk has kept out of the history: in order, as no step may be left out."""
    why = {"given_up": True} if run.given_up and run.operation.automatic else {}
    while run.unrecorded:
        phase, state = run.unrecorded[0]
        try:
            await run.app.parts.store.record_phase(run.operation.id, phase, state, why)
        except IllegalTransitionError:
            log.exception("operation %d: %s %s", run.operation.id, phase, state, extra=run.named)
        del run.unrecorded[0]


async def _let_through(run: Run) -> None:
    """Whatever the outcome is, nobody waits for it any more."""
    try:
        await let_through(run)
    except BluegreenError as error:
        # At its limit the hold ends, whoever forgets it.
        log.error("operation %d: %s", run.operation.id, error, extra=run.named)
        await run.note("warning", message=f"{error.message}; {error.remedy}")


def _begins_again(run: Run, state: OperationState) -> bool:
    """Whether it was the daemon that ended, and nobody is there who would ask for it anew."""
    one = run.operation
    if run.given_up or state is not OperationState.INTERRUPTED:
        return False
    return one.automatic and one.attempt < ATTEMPTS


async def _finish(
    run: Run,
    state: OperationState,
    error: OperationError | None,
    *,
    open_phase: Sequence[PhaseName] = (),
) -> Operation:
    """Record the outcome; on a full disk, as soon as there is room again.

    ``open_phase`` is none, or the one that the operation was in: recorded as failed with it.
    """
    await _let_through(run)
    phase: tuple[PhaseName, PhaseState, dict[str, Any]] | None = None
    if open_phase:
        phase = (open_phase[0], PhaseState.FAILED, {})
    while True:
        try:
            await _catch_up(run)
            await record_as_before(run)
            run.operation = await asyncio.shield(
                run.app.parts.store.finish_operation(
                    run.operation.id, state,
                    error=error, phase=phase, slots=list(run.app.slots.values()),
                    again=_begins_again(run, state),
                )
            )  # fmt: skip
        except IllegalTransitionError:
            raise
        except StoreError as failed:
            run.waiting_for = f"its outcome to be recorded: {failed.message}"
            run.unrecordable.set()
            log.warning(
                "operation %d is not recorded yet: %s", run.operation.id, failed.message,
                extra=run.named,
            )  # fmt: skip
            await asyncio.sleep(FULL_DISK_RETRY)
        else:
            run.waiting_for = None
            run.unrecordable.clear()
            if not run.migrating.unrestored:
                await end_promise(run.app.layout)
            return run.operation
