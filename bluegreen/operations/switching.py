"""The instant switch: traffic to a slot that is ready, with one commit before and one after."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from bluegreen.errors import StoreFullError, TrafficError
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
from bluegreen.operations.machine import as_reason
from bluegreen.operations.runtime import AppRuntime

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between attempts to record a switch that a full disk kept out


@dataclass(frozen=True, kw_only=True)
class Switched:
    """A switch that has happened. ``operation`` is None while the disk is too full to record it."""

    operation: Operation | None
    to: Slot
    warnings: tuple[str, ...]


def slots_after(app: AppRuntime, to: Slot) -> list[SlotRecord]:
    """Both records once ``to`` is active: it stays for no set time, the other for its hot time."""
    hot = app.settings.keep.hot
    until = None if hot is None else time.time() + hot
    return [
        replace(app.slots[to], hot_until=None),
        replace(app.slots[to.other], hot_until=until),
    ]


async def switch_now(
    app: AppRuntime, to: Slot, by: Requester, key: str | None, late: list[asyncio.Task[None]]
) -> Switched:
    """Move traffic to a ready slot; the caller holds ``app.commit``.

    On a full disk the marker itself is the durable record: the switch is made all the same, and
    ``late`` gets a task that writes the history once there is room. Raises TrafficError with
    traffic where it was.
    """
    operation: Operation | None = None
    full: StoreFullError | None = None
    try:
        operation = await _begin(app, to, by, key)
    except StoreFullError as error:
        full = error
    try:
        warnings = await app.move_traffic(to)
    except TrafficError as error:
        if operation is not None:
            await _finish(app, operation, OperationState.FAILED, error=error)
        raise
    slots = slots_after(app, to)
    app.slots.update({record.slot: record for record in slots})
    if operation is not None:
        try:
            operation = await _finish(app, operation, OperationState.SUCCEEDED, slots=slots)
        except StoreFullError as error:
            full = error
    if full is not None:
        warnings = (*warnings, full.message)
        late.append(
            asyncio.create_task(
                _record_late(app, to, by, key, operation, slots),
                name=f"late record of a switch of {app.name}",
            )
        )
    return Switched(operation=operation, to=to, warnings=warnings)


async def _begin(app: AppRuntime, to: Slot, by: Requester, key: str | None) -> Operation:
    return await app.parts.store.create_operation(
        app=app.name,
        kind=OperationKind.SWITCH,
        lane=Lane.SWITCH,
        version=app.slots[to].version,
        slot=to,
        from_slot=app.active,
        requested_by=by,
        idempotency_key=key,
        first_phase=PhaseName.SWITCH,
        data={"from": app.active, "to": to},
    )


async def _finish(
    app: AppRuntime,
    operation: Operation,
    state: OperationState,
    *,
    error: TrafficError | None = None,
    slots: Sequence[SlotRecord] = (),
) -> Operation:
    ended = PhaseState.DONE if error is None else PhaseState.FAILED
    return await app.parts.store.finish_operation(
        operation.id,
        state,
        error=None if error is None else as_reason(error),
        phase=(PhaseName.SWITCH, ended, {"from": operation.from_slot, "to": operation.slot}),
        slots=slots,
    )


async def _record_late(
    app: AppRuntime,
    to: Slot,
    by: Requester,
    key: str | None,
    operation: Operation | None,
    slots: Sequence[SlotRecord],
) -> None:
    while True:
        await asyncio.sleep(RETRY)
        try:
            if operation is None:
                operation = await _begin(app, to, by, key)
            await _finish(app, operation, OperationState.SUCCEEDED, slots=slots)
        except StoreFullError as full:
            log.warning("a switch of %s is not recorded yet: %s", app.name, full.message)
        else:
            return
