"""Start: the idle slot lets go of its old release and starts the new one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from bluegreen.errors import PreflightError, RefusedError
from bluegreen.model import PhaseName, SlotRecord, SlotState
from bluegreen.operations.draining import let_end_for, let_end_on_the_way_back, time_to_stop
from bluegreen.operations.findings import strangers
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import cold
from bluegreen.operations.slot_records import record_to_data

LIMIT = 60.0  # seconds on top of the longest graceful stop, and of the longest start


class Start:
    """Stop what ran there, place the new tree, start the services."""

    name = PhaseName.START
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        drain = time_to_stop(run.app)  # of its undo, but for a release, whose act may take longer
        if run.operation.kind.is_release:
            drain = settings.keep.drain_timeout
        starts = (settings.ready_within(name) or 0.0 for name in settings.services)
        stop = max(s.stop_timeout for s in settings.services.values())
        return LIMIT + drain + stop + max(starts)

    def intent(self, run: Run) -> dict[str, Any] | None:
        run.previous = run.app.slots[run.target]
        tree = None if run.tree is None else str(run.tree)
        return {"tree": tree, "previous": record_to_data(run.previous)}

    async def act(self, run: Run) -> dict[str, Any]:
        app, slot = run.app, run.target
        record = self._candidate(run)
        async with app.commit:
            if app.parts.traffic.read(app.name).share is not None:
                # Of steps that could not be undone: nobody is to come here.
                for message in await app.end_share():
                    await run.note("warning", message=message)
        drained = await self._drain(run, record)
        async with app.commit:  # a switch back may want this slot at this very moment
            if run.interruption is not None:
                raise asyncio.CancelledError
            if app.active is slot and run.origin is not slot:
                raise RefusedError(
                    f"{app.name}: traffic has moved to {slot}, which this operation was to fill",
                    remedy=f"look again and repeat it: bluegreen status {app.name}",
                )
            if self._runs_already(run, record):
                # From now on its hot time cannot end in the middle of this operation.
                await app.save_slot(replace(app.slots[slot], hot_until=None))
                return {"already": "running"}
            await app.save_slot(record)
        await app.stop_warming()
        await app.stop_services(slot)
        await app.trees.place(slot, record.tree)
        if found := await strangers(app, slot):
            raise PreflightError(
                f"{app.name}: ports of the {slot} slot were taken by strangers",
                detail=found,
                remedy="end the process that is named, then try again",
            )
        await app.start_services(slot)
        return {"slot": slot} | drained

    async def _drain(self, run: Run, record: SlotRecord) -> dict[str, Any]:
        """Let what began on the old release end there. A switch is not kept waiting by it.

        Nothing of the slot is touched yet: a switch back to it is as instant as before.
        """
        if not run.operation.kind.is_release or PhaseName.HOLD in run.recorded:
            return {}  # under a hold both slots are drained already
        if self._runs_already(run, record):
            return {}
        return await let_end_for(run, run.target)

    def _runs_already(self, run: Run, record: SlotRecord) -> bool:
        """Whether the slot runs all of ``record``, gated; or serves it, gated or not."""
        app, slot = run.app, run.target
        held, traffic = app.slots[slot], app.parts.traffic.read(app.name)
        serves = traffic.active is slot and not traffic.closed
        as_many = all(app.instances(slot, name) == n for name, n in record.services.items())
        return (
            held.tree == record.tree
            and set(record.services) <= set(app.services(slot))
            # One in which a service has crashed since its gate is started anew.
            and ((app.is_ready(slot) and as_many) or (serves and app.is_running(slot)))
        )

    def _candidate(self, run: Run) -> SlotRecord:
        held = run.app.slots[run.target]
        if run.release is None or run.tree is None:  # a switch starts what the slot holds
            version, commit, tree, operation = held.version, held.commit, held.tree, held.operation
        else:
            version, commit = run.release.version, run.release.commit
            tree, operation = run.tree, run.operation.id
        return SlotRecord(
            app=run.app.name, slot=run.target, state=SlotState.STARTING,
            version=version, commit=commit, tree=tree, operation=operation,
            # Whatever it ran with before: all that its gate asks, and that nginx sends requests to.
            services={name: one.instances for name, one in run.app.settings.services.items()},
            exclusive=tuple(sorted(run.app.settings.exclusive)),
        )  # fmt: skip

    async def undo(self, run: Run) -> bool:
        """The slot holds again what it held; what was hot there is warmed up by the caller.

        Or, should the daemon end before it comes to that, by the next one: it is left as starting.
        """
        app, slot, previous = run.app, run.target, run.previous
        if previous is None:
            return True
        async with app.commit:
            held = app.slots[slot]
            if app.active is slot and run.origin is not slot:
                return True  # an operator has switched to it meanwhile
            if (held.tree, held.operation, held.state) == (
                previous.tree, previous.operation, previous.state,
            ):  # fmt: skip
                if held.hot_until is None and previous.hot_until is not None:
                    await app.keep_slot(replace(held, hot_until=previous.hot_until))
                return True
            if held.version is not None:  # from now on nobody switches to it
                await app.keep_slot(replace(held, state=SlotState.STARTING, gated_by=None))
        try:
            await let_end_on_the_way_back(run, slot)
            await app.stop_services(slot)
            await app.trees.place(slot, previous.tree)
        except BaseException:
            # What is left running was refused: nothing may warm it up. The next start ends it.
            await app.keep_slot(cold(previous))
            raise
        ran = previous.state in (SlotState.HOT, SlotState.STARTING)
        await app.keep_slot(
            replace(previous, state=SlotState.STARTING, gated_by=None) if ran else cold(previous)
        )
        return True
