"""The path through the phases and back, with phases that do as a test tells them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bluegreen.errors import StoreFullError
from bluegreen.model import (
    OperationState,
    PhaseName,
    PhaseState,
)
from bluegreen.operations.machine import perform
from bluegreen.operations.run import Run
from tests.operations.told import BROKEN, Told, raise_broken, states


async def test_all_phases_are_done_in_order(run: Run) -> None:
    diary: list[str] = []
    operation = await perform(run, [Told(PhaseName.FETCH, diary), Told(PhaseName.BUILD, diary)])
    assert operation.state is OperationState.SUCCEEDED
    assert diary == ["fetch", "build"]
    assert await states(run) == [
        ("fetch", "intent"), ("fetch", "done"), ("build", "intent"), ("build", "done"),
    ]  # fmt: skip


async def test_the_intent_is_durable_before_the_act(run: Run) -> None:
    async def look() -> None:
        assert await states(run) == [("fetch", "intent")]

    phase = Told(PhaseName.FETCH, [], act_as=look)
    assert (await perform(run, [phase])).state is OperationState.SUCCEEDED


async def test_a_failure_undoes_what_was_begun_newest_first(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.FETCH, diary, leaves_nothing=True),
        Told(PhaseName.START, diary),
        Told(PhaseName.GATE, diary, act_as=raise_broken),
        Told(PhaseName.SWITCH, diary),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert (operation.error.kind, operation.error.message) == ("build", "it broke")
    assert diary == ["fetch", "start", "gate", "undo gate", "undo start"]
    assert (await states(run))[-5:] == [
        ("gate", "failed"), ("gate", "undoing"), ("gate", "undone"),
        ("start", "undoing"), ("start", "undone"),
    ]  # fmt: skip


async def test_a_phase_that_takes_too_long_has_failed(run: Run) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    operation = await perform(run, [Told(PhaseName.FETCH, [], act_as=hang, seconds=0.05)])
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "timeout"
    assert "fetch phase" in operation.error.message


async def test_a_defect_is_reported_without_its_trace(run: Run) -> None:
    async def defect() -> None:
        raise KeyError("what")

    operation = await perform(run, [Told(PhaseName.FETCH, [], act_as=defect)])
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "internal"
    assert "Traceback" not in operation.error.message


async def test_a_release_that_fails_after_the_switch_is_rolled_back(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.SWITCH, diary),
        Told(PhaseName.WATCH, diary, act_as=raise_broken, leaves_nothing=True),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.ROLLED_BACK
    assert diary == ["switch", "watch", "undo switch"]


async def test_where_there_is_no_way_back_it_stays_and_says_so(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.START, diary),
        Told(PhaseName.SWITCH, diary, goes_back=False),
        Told(PhaseName.WATCH, diary, act_as=raise_broken, leaves_nothing=True),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.FAILED
    assert diary == ["start", "switch", "watch", "undo switch"]


async def test_clearing_up_that_fails_takes_no_release_back(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.SWITCH, diary),
        Told(PhaseName.SETTLE, diary, act_as=raise_broken),
    ]
    assert (await perform(run, phases)).state is OperationState.SUCCEEDED
    assert diary == ["switch", "settle"]
    assert (await states(run))[-1] == ("settle", "failed")


async def test_an_undo_that_fails_does_not_keep_the_others_from_being_undone(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.FETCH, diary),
        Told(PhaseName.START, diary, undo_as=raise_broken),
        Told(PhaseName.GATE, diary, act_as=raise_broken),
    ]
    assert (await perform(run, phases)).state is OperationState.FAILED
    assert diary == ["fetch", "start", "gate", "undo gate", "undo start", "undo fetch"]
    assert ("start", "failed") in await states(run)


@pytest.mark.parametrize(
    ("raised", "said", "traced"),
    [(BROKEN, "it broke; mend it", False), (KeyError("x"), "unexpected KeyError: 'x'", True)],
)
async def test_an_undo_that_is_refused_leaves_no_trace_in_the_log_and_a_defect_does(
    run: Run, caplog: pytest.LogCaptureFixture, raised: Exception, said: str, traced: bool
) -> None:
    async def fail() -> None:
        raise raised

    phases = [
        Told(PhaseName.START, [], undo_as=fail),
        Told(PhaseName.GATE, [], act_as=raise_broken),
    ]
    await perform(run, phases)
    (record,) = caplog.records
    message = f"undoing the start phase failed: {said}"
    assert record.getMessage() == f"operation 1: {message}"
    assert ("Traceback" in caplog.text) is traced
    events = await run.app.parts.store.events(operation=1)
    assert [event.data for event in events if event.kind == "warning"] == [{"message": message}]


async def test_what_is_logged_of_an_operation_names_it_for_the_journal(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect() -> None:
        raise KeyError("what")

    async def refuse(**_: Any) -> None:
        raise StoreFullError("full", remedy="free some space")

    monkeypatch.setattr(run.app.parts.store, "add_event", refuse)
    phases = [
        Told(PhaseName.START, [], undo_as=raise_broken),
        Told(PhaseName.GATE, [], act_as=defect),
    ]
    await perform(run, phases)
    records = [record for record in caplog.records if record.name.startswith("bluegreen.")]
    assert [record.getMessage() for record in records] == [
        "operation 1 of a failed",
        "operation 1: undoing the start phase failed: it broke; mend it",
        "event of a not recorded: full",
    ]
    assert [(vars(record)["app"], vars(record)["operation"]) for record in records] == [
        ("a", 1), ("a", 1), ("a", 1),
    ]  # fmt: skip


async def test_on_a_full_disk_nothing_is_begun_and_the_outcome_is_recorded_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary: list[str] = []
    store = run.app.parts.store
    finish = store.finish_operation
    full = StoreFullError("full", remedy="free some space")
    refusals = 0

    async def refuse(*arguments: Any, **options: Any) -> None:
        raise full

    async def refuse_twice(*arguments: Any, **options: Any) -> Any:
        nonlocal refusals
        refusals += 1
        if refusals < 3:
            raise full
        return await finish(*arguments, **options)

    monkeypatch.setattr("bluegreen.operations.machine.FULL_DISK_RETRY", 0.01)
    monkeypatch.setattr(store, "record_phase", refuse)
    monkeypatch.setattr(store, "finish_operation", refuse_twice)
    operation = await perform(run, [Told(PhaseName.FETCH, diary)])
    assert diary == []
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "store-full"
    assert PhaseState.INTENT not in run.recorded.values()
