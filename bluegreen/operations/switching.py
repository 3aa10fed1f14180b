"""The instant switch: traffic to a slot that is ready, with one commit before and one after."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace

from bluegreen.errors import BluegreenError, BusyError, StoreError
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Requester,
    Slot,
    SlotRecord,
)
from bluegreen.operations.machine import as_reason, unexpected
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store import DuplicateKeyError

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between attempts to record a switch that the store could not take


@dataclass(frozen=True, kw_only=True)
class Switched:
    """A switch that has happened. ``operation`` is None while the store cannot record it."""

    operation: Operation | None
    to: Slot
    warnings: tuple[str, ...]


@dataclass
class Attempt:
    """One switch on its way into the history."""

    to: Slot
    by: Requester
    key: str | None
    operation: Operation | None = None
    error: BluegreenError | None = None

    @property
    def move(self) -> dict[str, Slot]:
        """What is recorded of the phase."""
        return {"from": self.to.other, "to": self.to}


def slots_after(app: AppRuntime, to: Slot) -> list[SlotRecord]:
    """Both records once ``to`` is active: it stays for no set time, the other for its hot time."""
    hot = app.settings.keep.hot
    until = None if hot is None else time.time() + hot
    return [
        replace(app.slots[to], hot_until=None),
        replace(app.slots[to.other], hot_until=until),
    ]


async def switch_now(
    app: AppRuntime, to: Slot, by: Requester, key: str | None, *, recordable: bool = True
) -> Switched:
    """Move traffic to a ready slot from the other one; the caller holds ``app.commit``.

    Where the store fails (a full disk), or is not to be asked (not ``recordable``, while a switch
    of an earlier daemon is unsettled), the marker itself is the durable record: the switch is made
    all the same, and the history is written once the store can (``record_late``). Raises
    TrafficError with traffic where it was.
    """
    attempt, before = Attempt(to, by, key), app.active
    warnings: tuple[str, ...] = ()
    if recordable and not app.unrecorded:  # else its turn in the history comes later
        try:
            attempt.operation = await _begin(app, attempt)
        except StoreError as failed:
            warnings = (failed.message,)
    try:
        warnings += await app.move_traffic(to)
    except Exception as error:
        attempt.error = error if isinstance(error, BluegreenError) else unexpected(error)
        await _record_if_possible(app, attempt)
        raise
    if before is not to:  # else it was some clients that were elsewhere
        app.slots.update({record.slot: record for record in slots_after(app, to)})
    warnings += await _record_if_possible(app, attempt)
    return Switched(operation=attempt.operation, to=to, warnings=warnings)


async def _begin(app: AppRuntime, attempt: Attempt) -> Operation:
    return await app.parts.store.create_operation(
        app=app.name,
        kind=OperationKind.SWITCH,
        lane=Lane.SWITCH,
        version=app.slots[attempt.to].version,
        slot=attempt.to,
        from_slot=attempt.to.other,
        requested_by=attempt.by,
        idempotency_key=attempt.key,
        first_phase=PhaseName.SWITCH,
        data=attempt.move,
    )


async def _finish(app: AppRuntime, attempt: Attempt, operation: Operation) -> Operation:
    error = attempt.error
    return await app.parts.store.finish_operation(
        operation.id,
        OperationState.SUCCEEDED if error is None else OperationState.FAILED,
        error=None if error is None else as_reason(error),
        phase=(
            PhaseName.SWITCH,
            PhaseState.DONE if error is None else PhaseState.FAILED,
            attempt.move,
        ),
        slots=list(app.slots.values()),
    )


async def _record_if_possible(app: AppRuntime, attempt: Attempt) -> tuple[str, ...]:
    """Record how it ended now, or have it recorded later; returns a warning in that case."""
    if attempt.operation is not None and not app.unrecorded:
        try:
            attempt.operation = await _finish(app, attempt, attempt.operation)
        except StoreError as failed:
            app.unrecorded.append(attempt)
            return (failed.message,)
        return ()
    app.unrecorded.append(attempt)
    return () if attempt.operation is None else ("the history is written later",)


async def record_late(app: AppRuntime) -> None:
    """Write the switches that the store could not take, in their order, once it can."""
    while app.unrecorded:
        await asyncio.sleep(RETRY)
        await record_next(app)


async def record_next(app: AppRuntime) -> bool:
    """Whether the oldest of the switches that are not in the history is now."""
    attempt: Attempt = app.unrecorded[0]
    try:
        operation = attempt.operation or await _begin(app, attempt)
        attempt.operation = operation
        await _finish(app, attempt, operation)
    except (StoreError, BusyError) as failed:
        if isinstance(failed, DuplicateKeyError):
            # An attempt that was given up has come through after all, and ended as cancelled.
            attempt.key = None
        log.warning(
            "a switch of %s is not recorded yet: %s", app.name, failed.message,
            extra={"app": app.name},
        )  # fmt: skip
        return False
    del app.unrecorded[0]
    return True
