"""Operations that a later daemon carries on: what was left out before stays so."""

from __future__ import annotations

from typing import Literal

import pytest

from bluegreen.config.migrations_section import Migrations
from bluegreen.model import OperationState, PhaseName, PhaseState
from bluegreen.operations.machine import perform
from bluegreen.operations.phases.hold import HoldRequests
from bluegreen.operations.queue import reverses_first
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


@pytest.mark.parametrize(
    ("begun", "mode", "before_its_start"),
    [
        ("fetch build hold drain backup reverse start gate switch release watch", "online", True),
        ("fetch build hold drain backup", "online", True),
        ("fetch build start gate switch watch backup reverse", "hold", False),
        ("fetch build start gate switch watch", "hold", False),
        ("fetch build", "hold", True),
        ("fetch build", "online", False),
    ],
)
def test_a_rollback_goes_on_as_it_has_begun_whatever_the_app_file_says(
    run: Run, begun: str, mode: Literal["hold", "online"], before_its_start: bool
) -> None:
    run.app.settings = SETTINGS.model_copy(update={"migrations": Migrations(mode=mode)})
    run.recorded.update(dict.fromkeys(map(PhaseName, begun.split()), PhaseState.DONE))
    assert reverses_first(run) is before_its_start


async def test_nobody_is_held_once_the_switch_has_begun(run: Run) -> None:
    app = SETTINGS.app.model_copy(update={"overlap": False})
    run.app.settings = SETTINGS.model_copy(update={"app": app})
    assert HoldRequests().intent(run) is not None
    await in_its_watch(run)
    assert HoldRequests().intent(run) is None
