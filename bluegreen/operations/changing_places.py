"""Back to a version that was stopped for the other one, while requests wait once more."""

from __future__ import annotations

import asyncio
import time

from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import OperationKind, Slot
from bluegreen.operations.last_requests import all_read
from bluegreen.operations.migrating import to_its_end
from bluegreen.operations.phases.hold import serve_again
from bluegreen.operations.proof import start_again
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime


async def change_places(run: Run, back: Slot) -> None:
    """Traffic from the operation's target to ``back``, which starts once the target has stopped.

    Done again after a crash, it comes to the same end; the operation's own end releases what is
    held. Raises RefusedError where ``back`` could not live with the data or is not up in time, and
    any BluegreenError of its start. Whatever it raises, also when cancelled, the target serves
    again by then, if it can.
    """
    app, target = run.app, run.target
    if _has_another_schema(run):
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
        await _there(run, back)
    except BaseException as error:
        if app.active is not back:
            if isinstance(error, BluegreenError):
                await run.note("warning", message=f"{back} does not take over: {error.message}")
            await to_its_end(_serve_again(run, back), name=f"{app.name} back to {target}")
        raise


def _has_another_schema(run: Run) -> bool:
    """Whether the operation has led the data to where the version of before cannot live."""
    section, known = run.app.settings.migrations, run.migrating
    if section is None or section.mode != "hold":
        return False
    if run.operation.kind is OperationKind.DEPLOY:
        return known.pending != ()  # by its migrations, or as it started
    return known.rolled_back != ()


async def _there(run: Run, back: Slot) -> None:
    app, within = run.app, run.app.settings.hold.forward
    try:
        async with asyncio.timeout(within) as clock:
            await _replace(run, run.target, back)
    except TimeoutError as error:
        if not clock.expired():
            raise
        raise RefusedError(
            f"{app.name}: {back} was not up again within the {within:.1f} s that the way there may "
            f"take, so traffic stays on {run.target}",
            remedy=f"see why: bluegreen logs {app.name}; allow more with limit in [hold] of its "
            "app file",
        ) from error
    async with app.commit:
        for message in await app.move_traffic(back):
            await run.note("warning", message=message)


async def _serve_again(run: Run, back: Slot) -> None:
    """The target, once ``back`` has ended; requests wait for it as long as they may."""
    await _stop(run.app, back)
    await serve_again(run, run.app.slots[run.target])


async def _replace(run: Run, running: Slot, other: Slot) -> None:
    """Stop ``running``, then have ``other`` run and pass its gate."""
    app = run.app
    await _stop(app, running)
    await start_again(app, app.slots[other], run.logs, run.on_probe)


async def _stop(app: AppRuntime, slot: Slot) -> None:
    if app.is_running(slot):
        await all_read(app, slot)
    await app.put_to_rest(slot, at_once=True)
