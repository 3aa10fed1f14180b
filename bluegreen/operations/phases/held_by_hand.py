"""Migrations by hand in mode ``hold``: what served is started again on what they have left.

Nothing runs while they do, as in a deploy of that mode. Then the same version has to pass its gate
anew, and as it is the one that the marker names, the app is closed meanwhile: at the hold's limit
nobody may be let through to what may yet be taken back with its data. What fails puts them back.
"""

from __future__ import annotations

from typing import Any

from bluegreen.errors import GateError, MigrationError
from bluegreen.model import PhaseName
from bluegreen.operations.by_hand import Action, ByHand
from bluegreen.operations.migrating import commands_of, to_its_end, way_back
from bluegreen.operations.phases.gate import Gate
from bluegreen.operations.phases.measure import Measure
from bluegreen.operations.phases.service import Open
from bluegreen.operations.phases.start import Start
from bluegreen.operations.proof import gate_again
from bluegreen.operations.run import Run
from bluegreen.operations.unwritten import unwritten_since


class MeasureHeld(Measure):
    """Under a hold alone: else visitors go on to write."""

    def intent(self, run: Run) -> dict[str, Any] | None:
        return super().intent(run) if PhaseName.HOLD in run.recorded else None


class StartClosed(Start):
    """What served starts, out of service until it has passed its gate."""

    def intent(self, run: Run) -> dict[str, Any] | None:
        return super().intent(run) if PhaseName.HOLD in run.recorded else None

    async def act(self, run: Run) -> dict[str, Any]:
        async with run.app.commit:
            await run.app.set_closed(True)
        return await super().act(run)


class GateAgain(Gate):
    """What served passes its gate, scenario included, on the schema as it is now."""

    def intent(self, run: Run) -> dict[str, Any] | None:
        return super().intent(run) if PhaseName.HOLD in run.recorded else None

    async def act(self, run: Run) -> dict[str, Any]:
        app, asked = run.app.name, ByHand.parse(run.operation.version)
        undoes = asked.action is Action.ROLLBACK
        other = (
            f"go back with the release: bluegreen rollback {app} --to VERSION"
            if undoes
            else f"deploy the release that lives with it: bluegreen deploy {app} VERSION"
        )
        try:
            passed = await super().act(run)
        except GateError as error:
            raise GateError(
                f"{app}: after migrations {asked}: {error.message.removeprefix(f'{app} ')}",
                detail=error.detail,
                remedy=f"{error.remedy}; or {other}",
            ) from error
        if undoes and asked.name not in (await commands_of(run, self.name).pending() or ()):
            label = run.app.slots[run.target].label
            raise MigrationError(
                f"{app}: {label} has applied {asked.name} again as it started", remedy=other
            )
        return passed


class OpenAgain(Open):
    """What served serves again. Once nginx may have opened, what fails takes nothing back."""

    def intent(self, run: Run) -> dict[str, Any] | None:
        return super().intent(run) if PhaseName.HOLD in run.recorded else None

    async def act(self, run: Run) -> dict[str, Any]:
        app = run.app
        if not app.is_running(run.target):  # the host has been down since its gate
            await app.start_services(run.target)
            await gate_again(app, run.target, run.logs, run.on_probe)
        done = await to_its_end(super().act(run), name=f"opening of {app.name}")
        run.switched = True
        return done

    async def undo(self, run: Run) -> bool:
        """Not once visitors may have written."""
        app = run.app
        if unwritten_since(app.layout) == run.operation.id:
            return True
        run.switched = True
        left = (
            f"{app.slots[run.target].label} goes on with what was done: visitors may have written"
        )
        if app.parts.traffic.read(app.name).closed:
            left += f"; it is out of service: bluegreen start {app.name}"
        run.migrating.left, run.migrating.remedy = (left,), way_back(run)
        return False
