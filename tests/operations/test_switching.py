"""The instant switch and its record, where nginx or the store do not do as they should."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import psutil
import pytest

from bluegreen.errors import RefusedError
from bluegreen.layout import Layout
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    OperationState,
    Requester,
    Slot,
    SlotRecord,
    SlotState,
    Traffic,
    UnitKey,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.parts import Parts
from bluegreen.operations.phases.switch import Switch
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.switching import Attempt, record_late, switch_now
from bluegreen.store import Store
from bluegreen.supervisors.interface import Supervisor
from bluegreen.traffic.control import TrafficControl
from tests.operations.told import SETTINGS
from tests.waiting import PATIENCE

BY = Requester(name="t", via="test")


@dataclass
class Failing:
    """Traffic that is on blue, and a supervisor whose services have just ended."""

    moves: list[Slot] = field(default_factory=list)

    def read(self, app: str) -> Traffic:
        return Traffic(active=Slot.BLUE, closed=False)

    async def switch(self, settings: object, to: Slot) -> tuple[str, ...]:
        self.moves.append(to)
        raise psutil.NoSuchProcess(1)

    def status(self, key: UnitKey) -> UnitStatus:
        return UnitStatus(key=key, state=UnitState.BACKOFF)


@pytest.fixture
def outside() -> Failing:
    return Failing()


@pytest.fixture
async def app(tmp_path: Path, outside: Failing) -> AsyncIterator[AppRuntime]:
    store = await Store.open(tmp_path / "store.db")
    parts = Parts(
        layout=Layout(tmp_path),
        store=store,
        supervisor=cast("Supervisor", outside),
        traffic=cast("TrafficControl", outside),
        builds=asyncio.Semaphore(1),
    )
    slots = {
        slot: SlotRecord(
            app="a", slot=slot, state=SlotState.HOT, version="v1", services={"s": 1}, gated_by=1
        )
        for slot in Slot
    }
    yield AppRuntime(settings=SETTINGS, parts=parts, slots=slots)
    await store.close()


async def begin(app: AppRuntime, lane: Lane, key: str | None = None) -> Operation:
    return await app.parts.store.create_operation(
        app="a", kind=OperationKind.SWITCH, lane=lane, version="v1", slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=BY, idempotency_key=key,
    )  # fmt: skip


async def test_a_switch_that_fails_unexpectedly_has_failed_and_lets_go_of_its_lane(
    app: AppRuntime,
) -> None:
    with pytest.raises(psutil.NoSuchProcess):
        await switch_now(app, Slot.GREEN, BY, None)
    [failed] = await app.parts.store.operations("a")
    assert failed.state is OperationState.FAILED
    assert failed.error is not None
    assert "NoSuchProcess" in failed.error.message
    assert (await begin(app, Lane.SWITCH)).state is OperationState.RUNNING


async def test_switches_are_recorded_late_though_the_key_of_one_has_been_taken(
    app: AppRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.operations.switching.RETRY", 0.01)
    lost = await begin(app, Lane.SWITCH, key="k")  # its commit came after it had been given up
    await app.parts.store.finish_operation(lost.id, OperationState.CANCELLED)
    app.unrecorded += [
        Attempt(Slot.GREEN, BY, "k"),
        Attempt(Slot.BLUE, BY, None),
    ]
    await asyncio.wait_for(record_late(app), PATIENCE)
    recorded = [(o.slot, o.state) for o in await app.parts.store.operations("a")]
    assert recorded == [
        (Slot.BLUE, OperationState.SUCCEEDED),
        (Slot.GREEN, OperationState.SUCCEEDED),
        (Slot.GREEN, OperationState.CANCELLED),
    ]


async def test_traffic_is_not_moved_to_a_slot_that_has_ended_since_its_gate(
    app: AppRuntime, outside: Failing
) -> None:
    operation = await begin(app, Lane.RELEASE)
    run = Run(app=app, operation=operation, target=Slot.GREEN, origin=Slot.BLUE)
    with pytest.raises(RefusedError, match="does not run any more"):
        await Switch().act(run)
    assert outside.moves == []
