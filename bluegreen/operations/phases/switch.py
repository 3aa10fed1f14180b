"""Switch: one rename moves the traffic. All that can fail has been done before it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from bluegreen.errors import GateError, RefusedError
from bluegreen.model import PhaseName, PhaseState, SlotRecord, SlotState
from bluegreen.operations.changing_places import change_places
from bluegreen.operations.phases.hold import require_time_to_switch, traffic_may_move
from bluegreen.operations.proof import gate_again, pass_again
from bluegreen.operations.run import STANDING, Run

LIMIT = 60.0  # seconds


class Switch:
    """Move traffic to the target slot, at the commit point of the operation."""

    name = PhaseName.SWITCH
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        """Of one that has stopped a slot, with the room for an undo to go there and back."""
        if not run.drained:
            return LIMIT + run.app.settings.gate.deadline
        stops = max(service.stop_timeout for service in run.app.settings.services.values())
        return LIMIT + run.app.settings.hold.limit + 2 * stops + run.app.settings.gate.deadline

    def intent(self, run: Run) -> dict[str, Any]:
        return {"from": run.origin, "to": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        if not STANDING.isdisjoint(run.recorded) and PhaseName.HOLD not in run.recorded:
            # A long time may have passed since it was gated, and a daemon.
            await pass_again(run.app, run.target, run.logs, run.on_probe)
        # Cancelled in the middle, the switch is completed first: half of one does not exist.
        moving = asyncio.create_task(self._move(run), name=f"switch {run.app.name}")
        try:
            return await asyncio.shield(moving)
        except asyncio.CancelledError:
            await asyncio.wait([moving])
            raise

    async def _move(self, run: Run) -> dict[str, Any]:
        app = run.app
        async with app.commit:
            if run.interruption is not None:
                raise asyncio.CancelledError
            if not app.is_running(run.target):
                raise RefusedError(
                    f"{app.name}: {run.target} has passed its gate and does not run any more",
                    remedy=f"see why: bluegreen status {app.name}",
                )
            require_time_to_switch(run)
            with traffic_may_move(run):
                warnings = [*await app.move_traffic(run.target)]
            data: dict[str, Any] = {"from": run.origin, "to": run.target}
            if app.parts.traffic.read(app.name).closed:
                warnings.append(f"{app.name} was stopped and stays so: bluegreen start {app.name}")
            for message in warnings:
                await run.note("warning", message=message)
            if warnings:
                data["warnings"] = warnings
            await run.record(self.name, PhaseState.DONE, data, slot=switched_to(run))
            app.following.look(at_once=True)  # it is hot only now
        return data

    async def undo(self, run: Run) -> bool:
        """Back to the slot that served before, if what runs there passes its gate.

        From the first release of all, back to what it replaces, if that still runs.
        """
        app = run.app
        if run.origin is not None and app.active is run.target and app.is_running(run.origin):
            try:
                await gate_again(app, run.origin, run.logs, run.on_probe)
            except GateError as error:
                message = f"{run.origin} cannot take the traffic back: {error.message}"
                await run.note("warning", message=message)
        if run.origin is not None and app.active is run.target and run.drained:
            await change_places(run, run.origin)
            return True
        async with app.commit:
            if app.active is not run.target:
                return True
            if run.origin is None:
                return await app.hand_back()
            # It served until now, with or without what the app file names since.
            if not app.is_proved(run.origin):
                raise RefusedError(
                    f"{app.name}: {run.origin} is not ready any more, so traffic stays "
                    f"on {run.target}",
                    remedy=f"see why: bluegreen status {app.name}",
                )
            for message in await app.move_traffic(run.origin):
                await run.note("warning", message=message)
            await app.keep_slot(replace(app.slots[run.origin], hot_until=None))
        return True


def switched_to(run: Run) -> SlotRecord:
    """The target's record once traffic is there: hot, gated by this operation, for no set time."""
    return replace(
        run.app.slots[run.target],
        state=SlotState.HOT, gated_by=run.operation.id, hot_until=None,
    )  # fmt: skip
