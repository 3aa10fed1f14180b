"""Out of service and back: nginx answers 503 while an app is stopped."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bluegreen.model import PhaseName, Slot, SlotState
from bluegreen.operations.draining import let_end_for
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import together

LIMIT = 60.0  # seconds


class Close:
    """nginx answers 503 for the app from now on."""

    name = PhaseName.CLOSE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        async with run.app.commit:
            await run.app.set_closed(True)
        return {}

    async def undo(self, run: Run) -> bool:
        """Open again what still runs; it served before, whatever has restarted in it since."""
        app = run.app
        async with app.commit:
            if app.active is not None and app.is_running(app.active):
                await app.set_closed(False)
                return True
        message = f"{app.name} stays out of service, it does not run: bluegreen start {app.name}"
        await run.note("warning", message=message)
        return True


class StopSlots:
    """Stop the processes of both slots, once what is under way has ended; their files stay."""

    name = PhaseName.STOP
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        stop = max(s.stop_timeout for s in settings.services.values())
        return LIMIT + settings.keep.drain_timeout + stop

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        await run.app.stop_warming()
        drained = await self._drain(run)
        await together(run.app.put_to_rest(slot) for slot in Slot)
        return drained

    async def _drain(self, run: Run) -> dict[str, Any]:
        return await let_end_for(run, *Slot)

    async def undo(self, run: Run) -> bool:
        return True  # what was stopped is started, gated, by `start`


class Open:
    """nginx passes requests to the active slot again."""

    name = PhaseName.OPEN
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any] | None:
        return {"open": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        async with run.app.commit:
            # Before nginx opens: what serves is never called less than hot, not even by a store
            # that a crash has left behind.
            record = replace(
                run.app.slots[run.target], state=SlotState.HOT, gated_by=run.operation.id
            )
            await run.app.save_slot(record)
            await run.app.set_closed(False)
        return {"open": run.target}

    async def undo(self, run: Run) -> bool:
        async with run.app.commit:
            await run.app.set_closed(True)
        return True
