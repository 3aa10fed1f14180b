"""A gate for what had passed one and was started anew since: after a reboot, or a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bluegreen.health.gate import pass_gate
from bluegreen.model import ProbeResult, Slot, SlotRecord, SlotState
from bluegreen.operations.runtime import AppRuntime


async def gate_again(
    app: AppRuntime, slot: Slot, logs: Path, on_result: Callable[[ProbeResult], None]
) -> None:
    """Return once the slot is ready; one pass of each probe is enough.

    ``logs`` is where its command probes write. Raises GateError when it does not get well within
    the gate's deadline.
    """
    if app.is_proved(slot):
        return
    held = app.slots[slot]
    await pass_again(app, slot, logs, on_result)
    async with app.commit:
        record = app.slots[slot]
        if record.operation == held.operation and record.state is not SlotState.COLD:
            app.has_passed_gate(slot)
            # Where the store is full it is so all the same, and nobody waits for that.
            await app.keep_slot(
                replace(record, state=SlotState.HOT, gated_by=record.operation or 0)
            )
            app.following.look(at_once=True)  # what is exclusive waits for that


async def pass_again(
    app: AppRuntime, slot: Slot, logs: Path, on_result: Callable[[ProbeResult], None]
) -> None:
    """Return once each probe has passed; nothing is recorded of it. Raises GateError."""
    target = await asyncio.to_thread(app.target, slot, logs)
    await pass_gate(target, app.settings.gate, healthy_for=0.0, on_result=on_result)


async def start_again(
    app: AppRuntime, record: SlotRecord, logs: Path, on_result: Callable[[ProbeResult], None]
) -> None:
    """Let the slot run what ``record`` says, through its gate. Raises BluegreenError.

    It is recorded first: killed after the start, the next daemon finds it running.
    """
    await app.keep_slot(replace(record, state=SlotState.STARTING, gated_by=None))
    await app.start_services(record.slot)
    await gate_again(app, record.slot, logs, on_result)
