"""Whoever waits for an operation whose outcome a full store does not take."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from bluegreen.errors import BusyError, StoreFullError
from bluegreen.model import (
    PhaseName,
    Requester,
    Slot,
    UnitKey,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.desk import Desk
from bluegreen.operations.machine import perform
from bluegreen.operations.run import Run
from tests.operations.told import Told, ToldSupervisor
from tests.waiting import PATIENCE

BY = Requester(name="t", via="test")
WAITERS: dict[str, Callable[[Desk, Run], Awaitable[Any]]] = {
    "cancel": lambda desk, run: desk.cancel("a"),
    "switch": lambda desk, run: desk.switch("a", Slot.GREEN, BY),
    "outcome": lambda desk, run: desk.outcome(run.operation),
    "moved": lambda desk, run: desk.queue.moved(run.operation),
}


@pytest.mark.parametrize("waiter", WAITERS)
async def test_who_waits_is_told_and_it_is_recorded_once_there_is_room(
    run: Run, monkeypatch: pytest.MonkeyPatch, waiter: str
) -> None:
    store = run.app.parts.store
    finish = store.finish_operation
    has_room = asyncio.Event()

    async def full(*arguments: Any, **options: Any) -> Any:
        if has_room.is_set():
            return await finish(*arguments, **options)
        raise StoreFullError("the store is full", remedy="free some space")

    monkeypatch.setattr("bluegreen.operations.machine.FULL_DISK_RETRY", 0.01)
    monkeypatch.setattr(store, "finish_operation", full)
    monkeypatch.setattr(ToldSupervisor, "status", _stopped, raising=False)
    desk = Desk(run.app.parts)
    desk.apps["a"] = run.app
    run.task = asyncio.create_task(perform(run, [Told(PhaseName.FETCH, [])]), name="operation")
    desk.queue._runs["a"] = run
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(BusyError, match="waits for its outcome to be recorded") as refused:
            await WAITERS[waiter](desk, run)
    assert "free some space" in refused.value.remedy
    has_room.set()
    assert (await run.task).state.is_final


def _stopped(_: ToldSupervisor, key: UnitKey) -> UnitStatus:
    return UnitStatus(key=key, state=UnitState.STOPPED)
