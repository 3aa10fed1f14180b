"""A caller that leaves in the middle of a change."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import StoreError
from bluegreen.model import OperationState, PhaseName, PhaseState, Slot, SlotRecord
from bluegreen.store import Store
from bluegreen.store import database as database_module
from tests.store.rows import assert_nothing_is_half, deploy, opened, switch


async def _cancelled(task: asyncio.Task[Any]) -> None:
    """Cancel ``task`` after it has handed its transaction over."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_operation_whose_requester_left_ends_as_cancelled(path: Path) -> None:
    store = await Store.open(path)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")  # the transaction below has to wait
        await _cancelled(asyncio.create_task(switch(store)))
        other.execute("ROLLBACK")
    await store.close()
    store = await Store.open(path)
    assert (await store.operation(1)).state is OperationState.CANCELLED
    assert (await switch(store)).id == 2  # the lane is free
    await store.close()


async def test_an_outcome_is_recorded_though_its_caller_left(path: Path) -> None:
    store = await Store.open(path)
    operation = await deploy(store)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        await _cancelled(
            asyncio.create_task(store.finish_operation(operation.id, OperationState.SUCCEEDED))
        )
        assert await store.unfinished() == [operation]  # reading goes on meanwhile
        other.execute("ROLLBACK")
    await store.close()
    store = await Store.open(path)
    assert (await store.operation(operation.id)).state is OperationState.SUCCEEDED
    await store.close()


async def test_a_change_that_nobody_waits_for_and_that_fails_is_reported(path: Path) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))
    store = await Store.open(path)
    operation = await deploy(store)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        await _cancelled(
            asyncio.create_task(store.record_phase(operation.id, PhaseName.BUILD, PhaseState.DONE))
        )
        other.execute("ROLLBACK")
    await store.close()
    [report] = reports
    assert "phase build of operation 1 is not begun" in str(report["exception"])


async def test_callers_cancelled_at_any_step_leave_whole_transactions(path: Path) -> None:
    store = await Store.open(path)
    dice = random.Random(7)

    async def one(app: str) -> None:
        operation = await switch(store, app)
        record = SlotRecord(app=app, slot=Slot.BLUE, operation=operation.id)
        await store.finish_operation(
            operation.id, OperationState.SUCCEEDED,
            phase=(PhaseName.SWITCH, PhaseState.DONE, {}), slots=[record],
        )  # fmt: skip

    for number in range(60):
        task = asyncio.create_task(one(f"app{number}"))
        for _ in range(dice.randrange(40)):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        with opened(path) as other:  # no transaction was left open
            other.execute("BEGIN IMMEDIATE")
            other.execute("ROLLBACK")
    await store.close()
    with opened(path) as other:
        assert_nothing_is_half(other)


async def test_a_database_that_another_process_holds_is_named(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "LOCK_WAIT", 0.05)
    store = await Store.open(path)
    with opened(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="held by another process"):
            await deploy(store)
        other.execute("ROLLBACK")
    assert (await deploy(store)).id == 1
    await store.close()


async def test_a_disk_that_does_not_answer_is_given_up_on(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = await Store.open(path)
    with opened(path) as other, monkeypatch.context() as patch:
        patch.setattr(database_module, "ANSWER_WITHIN", 0.05)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="did not answer"):
            await deploy(store)
        with pytest.raises(StoreError, match="did not answer"):
            await store.close()
        other.execute("ROLLBACK")
    await store.close()
    with opened(path) as other:
        # The change went through in the end; nobody ran it, so it does not hold the lane.
        assert other.execute("SELECT state FROM operations_now").fetchall() == [("cancelled",)]


async def test_a_closed_store_refuses(path: Path) -> None:
    store = await Store.open(path)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="is closed"):
        await store.operations(None)
    with pytest.raises(StoreError, match="is closed"):
        await deploy(store)
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM operations").fetchone() == (0,)
    other.close()
