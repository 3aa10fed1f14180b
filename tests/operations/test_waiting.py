"""What triggers ask for: begun at once, or in its turn, or not at all, and all of it said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.model import OperationState
from tests.operations.queued import QueuedDesk, opened
from tests.waiting import eventually


@pytest.fixture
async def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueuedDesk]:
    desk = await opened(tmp_path, monkeypatch)
    yield desk
    await desk.desk.close()
    await desk.store.close()


async def test_where_nothing_runs_it_begins_at_once(queued: QueuedDesk) -> None:
    triggered = await queued.trigger("v2")
    assert triggered.operation is not None
    assert triggered.operation.state is OperationState.RUNNING
    assert triggered.operation.automatic
    assert triggered.operation.slot is not None
    assert triggered.said == "operation 1 deploys v2"
    assert await queued.settled() == [("v2", "succeeded")]


async def test_the_latest_takes_the_place_of_what_waits_and_never_of_what_runs(
    queued: QueuedDesk,
) -> None:
    await queued.trigger("v2")
    await eventually(lambda: queued.began, "v2 is built")
    third = await queued.trigger("v3")
    assert third.said == "operation 2 (v3) waits behind operation 1 (deploy v2)"
    fourth = await queued.trigger("v4")
    assert fourth.said.endswith("; it takes the place of v3 (operation 2)")
    assert await queued.settled() == [
        ("v2", "succeeded"), ("v3", "superseded"), ("v4", "succeeded"),
    ]  # fmt: skip
    assert queued.began == ["v2", "v4"]
    ended = await queued.store.operation(2)
    assert ended.error is not None
    assert ended.error.message == "operation 3 (v4) took its place before it began"


async def test_ten_triggers_at_once_are_one_operation_that_runs_and_the_newest_that_waits(
    queued: QueuedDesk,
) -> None:
    asked = [queued.trigger(f"v{number}", key=str(number)) for number in range(2, 12)]
    answers = await asyncio.gather(*asked)
    assert all(answer.operation is not None for answer in answers)
    states = await queued.settled()
    assert [state for _, state in states] == ["succeeded", *["superseded"] * 8, "succeeded"]
    assert queued.began == ["v2", "v11"]


async def test_ten_deliveries_of_one_are_one_operation(queued: QueuedDesk) -> None:
    answers = await asyncio.gather(*(queued.trigger("v2", key=f"{n % 3}") for n in range(10)))
    assert {answer.operation.id for answer in answers if answer.operation} == {1}
    assert await queued.settled() == [("v2", "succeeded")]


async def test_in_series_all_are_done_in_their_order(queued: QueuedDesk) -> None:
    queued.configure(queue={"policy": "serial", "limit": 3})
    answers = [await queued.trigger(version) for version in ("v2", "v3", "v4", "v5", "v6")]
    assert answers[3].said == "operation 4 (v5) waits behind operation 3 (v4)"
    assert answers[4].operation is None
    assert answers[4].said == "a: 3 releases wait already, which is the limit in [queue]"
    await queued.settled()
    assert queued.began == ["v2", "v3", "v4", "v5"]


async def test_refused_it_says_why_and_nothing_waits(queued: QueuedDesk) -> None:
    queued.configure(queue={"policy": "refuse"})
    await queued.trigger("v2")
    refused = await queued.trigger("v3")
    assert refused.operation is None
    assert "v3 would wait behind operation 1 (deploy v2)" in refused.said
    assert await queued.settled() == [("v2", "succeeded")]
