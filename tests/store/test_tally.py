"""What is counted of the history: once, in parts of any size, and the same by whoever counts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.durations import Durations
from bluegreen.model import OperationState, PhaseName, PhaseState
from bluegreen.store import Store, tally
from tests.store.rows import deploy, switch


async def _deploy(store: Store, state: OperationState) -> None:
    operation = await deploy(store, "shop")
    for phase in (PhaseName.FETCH, PhaseName.BUILD):
        await store.record_phase(operation.id, phase, PhaseState.INTENT)
    await store.record_phase(operation.id, PhaseName.FETCH, PhaseState.DONE)
    await store.record_phase(operation.id, PhaseName.BUILD, PhaseState.FAILED)
    await store.record_phase(operation.id, PhaseName.BUILD, PhaseState.UNDOING)
    await store.record_phase(operation.id, PhaseName.BUILD, PhaseState.FAILED)
    await store.finish_operation(operation.id, state)


async def test_each_is_counted_once_and_only_when_it_has_ended(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "AT_ONCE", 2)
    await store.tally.catch_up()
    assert not store.tally.outcomes
    await _deploy(store, OperationState.FAILED)
    running = await switch(store, "wiki")
    await store.tally.catch_up()
    assert store.tally.outcomes == {("shop", "deploy", "failed"): 1}
    await store.finish_operation(
        running.id, OperationState.SUCCEEDED, phase=(PhaseName.SWITCH, PhaseState.DONE, {})
    )
    await _deploy(store, OperationState.FAILED)
    for _ in range(2):
        await store.tally.catch_up()
    assert store.tally.outcomes == {
        ("shop", "deploy", "failed"): 2, ("wiki", "switch", "succeeded"): 1
    }  # fmt: skip
    counted = {key: durations.count for key, durations in store.tally.phases.items()}
    # A phase whose undoing fails has failed once, and taken its time once.
    assert counted == {("fetch", "done"): 2, ("build", "failed"): 2, ("switch", "done"): 1}
    assert store.tally.switches.count == 1

    await store.close()
    again = await Store.open(path)
    await again.tally.catch_up()
    assert again.tally.outcomes == store.tally.outcomes
    assert again.tally.seconds == store.tally.seconds
    await again.close()


def test_durations_are_counted_up_to_each_bound() -> None:
    durations = Durations((0.1, 1))
    for seconds in (0.1, 0.2, 5, -3):
        durations.observe(seconds)
    assert durations.cumulative() == [(0.1, 2), (1, 3), (float("inf"), 4)]
    assert durations.count == 4
    assert durations.sum == pytest.approx(5.3)
