"""Back to a version that was stopped for the other one, while requests wait once more."""

from __future__ import annotations

import time
from dataclasses import replace

from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import PhaseName, Slot, SlotState
from bluegreen.operations.last_requests import all_read
from bluegreen.operations.proof import gate_again
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import cold


async def change_places(run: Run, back: Slot) -> None:
    """Traffic from the operation's target to ``back``, which starts once the target has stopped.

    Done again after a crash, it comes to the same end; the operation's own end releases what is
    held. Raises RefusedError where ``back`` could not live with the data, and any BluegreenError
    of its start, with the target serving again.
    """
    app, target = run.app, run.target
    if run.migrating.pending != () and not run.recorded.keys().isdisjoint(_OF_THE_SCHEMA):
        raise RefusedError(
            f"{app.name}: {back} cannot live with the data as they are now, and visitors have "
            f"written since, so traffic stays on {target}",
            remedy=f"see what the way back is: bluegreen status {app.name}",
        )
    async with app.commit:
        await app.parts.traffic.hold(
            app.settings, until=time.time() + app.settings.hold.limit,
            by=run.operation.requested_by.name, operation=run.operation.id,
        )  # fmt: skip
    try:
        await _replace(run, target, back)
    except BluegreenError:
        await _replace(run, back, target)
        raise
    async with app.commit:
        for message in await app.move_traffic(back):
            await run.note("warning", message=message)


_OF_THE_SCHEMA = (PhaseName.MIGRATE, PhaseName.REVERSE)


async def _replace(run: Run, running: Slot, other: Slot) -> None:
    """Stop ``running``, then have ``other`` run and pass its gate."""
    app = run.app
    if app.is_running(running):
        await all_read(app, running)
    await app.stop_services(running, at_once=True)
    await app.keep_slot(cold(app.slots[running]))
    await app.keep_slot(replace(app.slots[other], state=SlotState.STARTING, gated_by=None))
    await app.start_services(other)
    await gate_again(app, other, run.logs, run.on_probe)
