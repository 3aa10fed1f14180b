"""What counts as the one failover that there is."""

from __future__ import annotations

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.errors import RefusedError, TrafficError
from bluegreen.model import OperationState, Requester, Slot
from bluegreen.operations import switches
from bluegreen.operations.failover import FAILOVER, _was_by_itself
from bluegreen.operations.switches import Switches
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


@pytest.mark.parametrize(
    ("hindrance", "why"),
    [
        ("running", "an operation goes on"), ("held", "its requests are held"),
        ("gate", "blue is not ready"), ("data", "blue cannot live with the data as they are now"),
    ],
)  # fmt: skip
async def test_traffic_is_led_to_no_slot_that_passed_no_gate_or_is_on_other_data(
    hindrance: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def past_schema(*_: object) -> object:
        return "0007_owner" if hindrance == "data" else None

    monkeypatch.setattr(switches, "_past_schema", past_schema)
    made = object.__new__(Switches)
    monkeypatch.setattr(made, "_switch_target", lambda *_: Slot.BLUE, raising=False)
    queue = SimpleNamespace(
        aside=lambda _: contextlib.nullcontext(),
        running=lambda _: "one" if hindrance == "running" else None,
    )
    monkeypatch.setattr(made, "_queue", queue, raising=False)
    traffic = SimpleNamespace(held="a hold" if hindrance == "held" else None)
    app = cast(
        "Any",
        SimpleNamespace(
            name="shop", commit=asyncio.Lock(), is_ready=lambda _: hindrance != "gate",
            parts=SimpleNamespace(traffic=SimpleNamespace(read=lambda _: traffic)),
        ),
    )  # fmt: skip
    with pytest.raises(RefusedError, match=why):
        await made.fail_over(app, FAILOVER)
