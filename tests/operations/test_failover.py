"""What counts as the one failover that there is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.errors import TrafficError
from bluegreen.model import OperationState, Requester, Slot
from bluegreen.operations.failover import FAILOVER, _was_by_itself
from bluegreen.operations.switching import Attempt

ALICE = Requester(name="uid 1000 (alice)", via="unix socket")


def app_of(by: Requester, state: OperationState, *unrecorded: Attempt) -> Any:
    """One whose history ends with an operation like that."""

    async def operations(**_: object) -> list[Any]:
        return [SimpleNamespace(requested_by=by, state=state)]

    store = SimpleNamespace(operations=operations)
    return cast(
        "Any",
        SimpleNamespace(name="shop", unrecorded=[*unrecorded], parts=SimpleNamespace(store=store)),
    )


@pytest.mark.parametrize(
    ("by", "state", "counts"),
    [
        (FAILOVER, OperationState.SUCCEEDED, True),
        (FAILOVER, OperationState.FAILED, False),
        (FAILOVER, OperationState.INTERRUPTED, False),
        (ALICE, OperationState.SUCCEEDED, False),
    ],
)
async def test_only_one_that_moved_traffic_is_one(
    by: Requester, state: OperationState, *, counts: bool
) -> None:
    assert await _was_by_itself(app_of(by, state)) is counts


async def test_one_that_is_not_in_the_history_yet_is_one() -> None:
    made = Attempt(Slot.BLUE, FAILOVER, None)
    assert await _was_by_itself(app_of(ALICE, OperationState.SUCCEEDED, made))
    made.error = TrafficError("nginx did not confirm", remedy="look at it")
    assert not await _was_by_itself(app_of(ALICE, OperationState.SUCCEEDED, made))
