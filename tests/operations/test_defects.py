"""An operation that ends by a defect: its app is not held by it until the daemon is restarted."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.errors import IllegalTransitionError, RefusedError
from bluegreen.operations import recovery
from bluegreen.operations.desk import Desk
from bluegreen.operations.run import Run
from tests.operations.told import ToldSupervisor
from tests.waiting import eventually


async def test_it_is_tried_again_and_a_cancel_says_so(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    async def fails(*_: Any, **__: Any) -> None:
        raise IllegalTransitionError("it ended twice", remedy="report it")

    async def settled(_: Desk, __: object, operation: Any) -> None:
        tried.append(operation.id)

    monkeypatch.setattr(recovery, "RETRY", 0.2)
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
    await eventually(lambda: tried == [1] and not desk.unsettled, "it is settled")
    await desk.close()
