"""Operations that a later daemon carries on: what was left out before stays so."""

from __future__ import annotations

from bluegreen.model import OperationState, PhaseName, PhaseState
from bluegreen.operations.machine import perform
from bluegreen.operations.phases.hold import HoldRequests
from bluegreen.operations.run import Run
from tests.operations.told import SETTINGS, Told


async def in_its_watch(run: Run) -> None:
    """As its records tell it: without a hold and a rehearsal, for which there was no reason."""
    for name in (PhaseName.START, PhaseName.GATE, PhaseName.SWITCH):
        await run.record(name, PhaseState.INTENT)
        await run.record(name, PhaseState.DONE)
    await run.record(PhaseName.WATCH, PhaseState.INTENT)


async def test_what_comes_before_a_phase_that_is_recorded_is_not_begun_any_more(run: Run) -> None:
    diary: list[str] = []
    await in_its_watch(run)
    names = ("rehearse", "hold", "drain", "start", "gate", "switch", "release", "watch", "settle")
    operation = await perform(run, [Told(PhaseName(name), diary) for name in names])
    assert operation.state is OperationState.SUCCEEDED
    assert diary == ["watch", "settle"]


async def test_nobody_is_held_once_the_switch_has_begun(run: Run) -> None:
    app = SETTINGS.app.model_copy(update={"overlap": False})
    run.app.settings = SETTINGS.model_copy(update={"app": app})
    assert HoldRequests().intent(run) is not None
    await in_its_watch(run)
    assert HoldRequests().intent(run) is None
