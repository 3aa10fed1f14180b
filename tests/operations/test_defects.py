"""An operation that ends by a defect: its app is not held by it until the daemon is restarted."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bluegreen.api.queue import unsettled_view
from bluegreen.errors import IllegalTransitionError, RefusedError, TrafficError
from bluegreen.model import Lane, Operation, OperationKind, OperationState, Requester
from bluegreen.operations import recovery, unsettled
from bluegreen.operations.desk import Desk
from bluegreen.operations.queue import Queue
from bluegreen.operations.run import Run
from bluegreen.operations.unsettled import Unsettled
from tests.operations.told import ToldSupervisor
from tests.waiting import eventually

OPERATION = Operation(
    id=1, app="a", kind=OperationKind.DEPLOY, lane=Lane.RELEASE, state=OperationState.RUNNING,
    version="v1", commit=None, slot=None, from_slot=None,
    requested_by=Requester(name="t", via="test"), created_at=0.0,
)  # fmt: skip


async def test_it_is_tried_again_and_a_cancel_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    mended = asyncio.Event()

    async def fails(*_: Any, **__: Any) -> None:
        raise IllegalTransitionError("it ended twice", remedy="report it")

    async def settled(_: Desk, __: object, operation: Any) -> None:
        await mended.wait()
        tried.append(operation.id)

    monkeypatch.setattr(unsettled, "RETRY", 0.01)
    monkeypatch.setattr(recovery, "_recover_one", settled)
    monkeypatch.setattr("bluegreen.operations.queue.conclude", fails)
    monkeypatch.setattr(ToldSupervisor, "on_change", None, raising=False)
    desk = Desk(run.app.parts)
    await recovery.recover(desk, [])
    desk.apps["a"] = run.app
    desk.queue.carry_on(run, undo=True)
    await eventually(lambda: desk.running("a") is None, "it has ended")
    with pytest.raises(RefusedError, match="held by operation 1") as refused:
        await desk.cancel("a")
    assert "it ended twice" in refused.value.detail
    mended.set()
    await eventually(lambda: tried == [1] and not desk.unsettled, "it is settled")
    await desk.close()


async def test_a_defect_is_tried_again_ever_later_and_the_status_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    mended = asyncio.Event()

    async def fails(*_: Any, **__: Any) -> Operation:
        if mended.is_set():
            return await run.app.parts.store.finish_operation(1, OperationState.FAILED)
        raise KeyError("what")

    async def carried_on(desk: Desk, *_: object) -> None:
        desk.queue.carry_on(run, undo=True)

    monkeypatch.setattr(unsettled, "RETRY", 0.001)
    monkeypatch.setattr(recovery, "_recover_one", carried_on)
    monkeypatch.setattr("bluegreen.operations.queue.conclude", fails)
    monkeypatch.setattr(Queue, "_after", _nothing)
    monkeypatch.setattr(ToldSupervisor, "on_change", None, raising=False)
    desk = Desk(run.app.parts)
    desk.apps["a"] = run.app
    await recovery.recover(desk, [])
    desk.queue.carry_on(run, undo=True)

    def tries() -> int:
        return desk.unsettled[1].tries if desk.unsettled else 0

    await eventually(lambda: tries() >= 4, "it is tried again and again")
    (left,) = unsettled_view(desk, run.app)
    assert (left["id"], left["why"]) == (1, "'what'")
    mended.set()
    await eventually(lambda: not desk.unsettled, "it is settled")
    assert (await run.app.parts.store.operation(1)).state is OperationState.FAILED
    await desk.close()


def test_only_what_an_operator_can_mend_is_looked_at_every_two_seconds() -> None:
    tried = Unsettled(operation=OPERATION, error=KeyError("what"))
    waits = [tried.wait]
    for _ in range(9):
        tried = tried.again(KeyError("what"))
        waits.append(tried.wait)
    assert waits == [2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    assert tried.again(TrafficError("nginx is down", remedy="start it")).wait == 2


async def _nothing(*_: object) -> None:
    """The told app has no slots to be cleared up."""
