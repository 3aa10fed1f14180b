"""A rollback with a backup's data: once nginx may have opened, no data are put back."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import TrafficError
from bluegreen.model import OperationState, PhaseName, PhaseState, Slot
from bluegreen.operations.machine import perform, undo
from bluegreen.operations.phases.bring_back import SwitchAndOpen
from bluegreen.operations.phases.restore import SettleRestore
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from tests.operations.told import Told


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """An app without backups, whose target runs; says what was done to it."""
    done: list[str] = []

    def told(what: str, *, fails: bool = False) -> Any:
        async def do(*_: Any, **__: Any) -> Any:
            done.append(what)
            if fails:
                raise TrafficError("nginx does not answer", remedy="start it")
            return ()

        return do

    monkeypatch.setattr(SettleRestore, "act", told("settle"))
    monkeypatch.setattr(AppRuntime, "is_running", lambda *_: True)
    monkeypatch.setattr(AppRuntime, "move_traffic", told("move"))
    monkeypatch.setattr(AppRuntime, "save_slot", told("save"))
    monkeypatch.setattr(AppRuntime, "set_closed", told("open or close", fails=True))
    return done


async def test_an_opening_that_fails_puts_no_data_back(run: Run, settled: list[str]) -> None:
    diary: list[str] = []
    operation = await perform(run, [Told(PhaseName.RESTORE, diary), SwitchAndOpen()])
    assert operation.state is OperationState.FAILED
    assert diary == ["restore"]
    assert settled == ["move", "save", "open or close", "settle"]


async def test_nor_does_a_later_daemon_that_finds_it_open(run: Run, settled: list[str]) -> None:
    diary: list[str] = []
    run.target = Slot.BLUE  # where the traffic is
    restore, switch = Told(PhaseName.RESTORE, diary), SwitchAndOpen()
    for phase in (PhaseName.RESTORE, PhaseName.SWITCH):
        await run.record(phase, PhaseState.INTENT)
    assert not await undo(run, [restore, switch])
    assert diary == []
    assert settled == ["settle"]


async def test_it_has_the_time_for_a_gate(run: Run) -> None:
    assert SwitchAndOpen().limit(run) > run.app.settings.gate.deadline + 30
