"""What triggers ask for: begun at once, or in its turn, or not at all, and all of it said."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from bluegreen.errors import BusyError, RefusedError
from bluegreen.model import (
    AppLock,
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    Slot,
    SlotRecord,
    SlotState,
    Traffic,
)
from bluegreen.operations import waiting
from bluegreen.operations.run import Promotion, Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.switching import Switched
from bluegreen.operations.triggers import Wanted, against
from bluegreen.operations.unsettled import Unsettled
from tests.operations.queued import PERSON, QueuedDesk
from tests.waiting import eventually

OLDER = SlotRecord(app="a", slot=Slot.GREEN, state=SlotState.COLD, version="v0")


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
    await queued.builds("v2")
    third = await queued.trigger("v3")
    assert third.said == "operation 2 (v3) waits behind operation 1 (deploy v2) by webhook"
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
    assert "v3 would wait behind operation 1 (deploy v2) by webhook, and policy" in refused.said
    assert await queued.settled() == [("v2", "succeeded")]


# -- what is in its way ---------------------------------------------------------------------------


async def test_a_lock_is_waited_for_and_said(queued: QueuedDesk) -> None:
    await queued.desk.set_lock(AppLock(app="a", reason="fair", by="ann", at=time.time()))
    waits = await queued.trigger("v2")
    assert "(v2) waits as a is locked by ann" in waits.said
    await queued.desk.clear_lock("a")
    assert await queued.settled() == [("v2", "succeeded")]


async def test_what_a_person_has_switched_is_not_undone_until_they_say_so(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.01)
    running = await queued.trigger("v2")
    await queued.trigger("v3")
    await switched_by_hand(queued)
    assert await queued.ended(running.operation) is OperationState.SUCCEEDED
    waits = await queued.trigger("v4")
    assert waits.operation is not None
    assert "waits since the switch by uid 1 (ann)" in waits.said
    assert "bluegreen resume a" in waits.said
    await eventually(lambda: queued.desk.waiting.of("a"), "it is known")
    assert (await queued.states())[-1] == ("v4", "queued")
    await queued.desk.resume("a")
    assert (await queued.settled())[-1] == ("v4", "succeeded")
    with pytest.raises(RefusedError, match="do not wait for a person"):
        await queued.desk.resume("a")


async def test_nothing_begins_while_a_switch_goes_on(queued: QueuedDesk) -> None:
    with queued.desk.queue.aside(queued.app):
        assert (await queued.trigger("v2")).said.endswith("waits behind a switch")
        with pytest.raises(BusyError, match="a is busy: a switch of it goes on"):
            await queued.desk.deploy("a", "v3", PERSON)
    assert await queued.settled() == [("v2", "succeeded")]


async def test_one_that_begins_in_the_very_moment_of_a_switch_gives_way(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = queued.store.waiting.begin

    async def meanwhile(*arguments: Any) -> Operation | None:
        queued.traffic.now = Traffic(active=Slot.GREEN, closed=False)
        return await begin(*arguments)

    monkeypatch.setattr(queued.store.waiting, "begin", meanwhile)
    await queued.trigger("v2")
    assert await queued.settled() == [("v2", "superseded")]


async def test_a_switch_is_not_refused_for_one_that_begins_in_that_very_moment(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, switched = queued.store.waiting.begin, list[asyncio.Task[Switched]]()
    queued.app.slots[Slot.GREEN] = OLDER

    async def meanwhile(*arguments: Any) -> Operation | None:
        back = queued.desk.switch("a", None, PERSON)
        switched.append(asyncio.create_task(back, name="the switch back"))
        await eventually(lambda: queued.app.admission._waiters, "it wants to begin")
        return await begin(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(queued.store.waiting, "begin", meanwhile)
        await queued.trigger("v2")
    queued.go_on.set()
    assert (await switched[0]).to is Slot.GREEN
    assert await queued.states() == [("v2", "superseded"), ("v0", "succeeded")]


@pytest.mark.parametrize("decides", ["switch", "lock"])
async def test_what_a_person_decides_in_that_very_moment_is_heeded(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch, decides: str
) -> None:
    begin = queued.store.waiting.begin

    async def meanwhile(*arguments: Any) -> Operation | None:
        if decides == "switch":
            await switched_by_hand(queued)
        else:
            lock = AppLock(app="a", reason="fair", by="ann", at=time.time())
            await queued.store.set_lock(lock)
        return await begin(*arguments)

    monkeypatch.setattr(queued.store.waiting, "begin", meanwhile)
    waits = await queued.trigger("v2")
    assert {"switch": "since the switch", "lock": "as a is locked"}[decides] in waits.said
    assert ("v2", "queued") in await queued.states()


async def test_a_deploy_by_a_person_is_the_newest_wish_and_lets_triggers_go_on(
    queued: QueuedDesk,
) -> None:
    await switched_by_hand(queued)
    await queued.trigger("v2")
    by_hand = await queued.desk.deploy("a", "v3", PERSON)
    assert (await queued.states())[-2:] == [("v2", "superseded"), ("v3", "running")]
    assert await queued.ended(by_hand) is OperationState.SUCCEEDED
    assert await queued.ended((await queued.trigger("v4")).operation) is OperationState.SUCCEEDED


async def test_one_that_a_person_has_cancelled_does_not_come_back(queued: QueuedDesk) -> None:
    await queued.trigger("v2")
    waits = await queued.trigger("v3")
    assert waits.operation is not None
    ended = await queued.desk.cancel_one("a", waits.operation.id, PERSON)
    assert ended.state is OperationState.CANCELLED
    assert ended.error is not None
    assert ended.error.message == "cancelled by uid 1 (ann) before it began"
    refused = await queued.trigger("v3")
    assert refused.operation is None
    assert "v3 was cancelled in operation 2" in refused.said
    with pytest.raises(RefusedError, match="operation 2 of a neither waits nor runs"):
        await queued.desk.cancel_one("a", 2, PERSON)
    assert (await queued.desk.cancel_one("a", 1, PERSON)).state is OperationState.CANCELLED
    with pytest.raises(RefusedError, match="no operation is running on a"):
        await queued.desk.cancel("a")


async def test_out_of_service_it_waits(queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.01)
    queued.traffic.now = Traffic(active=Slot.BLUE, closed=True)
    assert "waits as a is out of service" in (await queued.trigger("v2")).said
    queued.traffic.now = Traffic(active=Slot.BLUE, closed=False)
    assert await queued.settled() == [("v2", "succeeded")]


async def test_a_closed_window_holds_triggers_and_nobody_else(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.01)
    clock = Clock(datetime(2026, 11, 28, 12, 0, tzinfo=UTC).timestamp())  # a Saturday
    monkeypatch.setattr(waiting, "time", clock)
    queued.configure(promote={"window": "Mon-Thu 09:00-16:00", "zone": "UTC"})
    waits = await queued.trigger("v2")
    assert waits.said == (
        "operation 1 (v2) waits until the window opens (Mon-Thu 09:00-16:00 UTC), Mon 2026-11-30 "
        "09:00 UTC"
    )
    assert await queued.ended(await queued.desk.deploy("a", "v3", PERSON)) == "succeeded"
    noted = [event.data for event in await queued.store.events(operation=2) if
             event.kind == "warning"]  # fmt: skip
    assert noted == [{"message": "begun outside of the window (Mon-Thu 09:00-16:00 UTC)"}]
    assert "until the window opens" in (await queued.trigger("v4")).said
    clock.now += 2 * 86400  # as if it had been set
    assert (await queued.settled())[-1] == ("v4", "succeeded")


async def switched_by_hand(queued: QueuedDesk) -> None:
    """What the store has of it; the told app has one slot."""
    operation = await queued.store.create_operation(
        app="a", kind=OperationKind.SWITCH, lane=Lane.SWITCH, version="v1", slot=Slot.BLUE,
        from_slot=Slot.GREEN, requested_by=PERSON,
    )  # fmt: skip
    await queued.store.finish_operation(operation.id, OperationState.SUCCEEDED)


@dataclass
class Clock:
    """A clock on the wall that a test sets."""

    now: float

    def time(self) -> float:
        return self.now


def stand(queued: QueuedDesk) -> Run:
    """Let what runs wait for a person."""
    run = queued.desk.running("a")
    assert run is not None
    run.promotion = Promotion(phase=PhaseName.PROMOTE, since=1.0, until=2.0, slot=run.target)
    return run


async def test_what_a_person_lets_go_on_as_a_newer_one_comes_is_not_ended_by_that(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queued.trigger("v2")
    await queued.builds("v2")
    run = stand(queued)

    async def looked(app: AppRuntime, wanted: Wanted) -> str | None:
        if queued.desk.waiting.of("a"):  # as its turn comes; before that, it was to wait at all
            run.promotion = None
        return await against(app, wanted)

    monkeypatch.setattr(waiting, "against", looked)
    await queued.trigger("v3")
    assert (run.promotion, run.interruption) == (None, None)
    assert await queued.settled() == [("v2", "succeeded"), ("v3", "succeeded")]


async def test_a_newer_release_takes_the_place_of_one_that_waits_to_be_promoted(
    queued: QueuedDesk,
) -> None:
    await queued.trigger("v2")
    await queued.builds("v2")
    stand(queued)
    older = await queued.trigger("v1.5")
    assert older.said == "a: v1.5 is older than v2, which waits to be promoted"
    queued.configure(queue={"policy": "serial"})
    waits = await queued.trigger("v2.1")
    assert "waits behind operation 1 (deploy v2) by webhook, until: bluegreen" in waits.said
    await queued.desk.set_lock(AppLock(app="a", reason="fair", by="ann", at=time.time()))
    queued.configure()
    latest = await queued.trigger("v2.2")  # could not begin, so what waits for a person goes on
    assert "waits as a is locked by ann" in latest.said
    assert (await queued.states())[0] == ("v2", "running")
    # Nor could it while an instant switch, which a daemon has left, is not in the history.
    assert latest.operation is not None
    switch = replace(latest.operation, id=99)
    queued.desk.unsettled[switch.id] = Unsettled(operation=switch, error=OSError("full"))
    await queued.desk.clear_lock("a")
    why = await queued.desk.waiting.why(queued.app, latest.operation)
    assert why == f"behind operation {switch.id}, which is not settled yet"
    async with queued.app.admission:
        assert not await queued.desk.waiting._begin_next(queued.app)
    assert (await queued.states())[0] == ("v2", "running")
    del queued.desk.unsettled[switch.id]
    await queued.builds("v2.2")
    assert await queued.settled() == [
        ("v2", "superseded"), ("v2.1", "superseded"), ("v2.2", "succeeded"),
    ]  # fmt: skip
    await eventually(lambda: queued.desk.running("a") is None, "nothing runs")
    queued.go_on.clear()
    await queued.desk.deploy("a", "v3", PERSON)
    await queued.builds("v3")
    stand(queued)
    waits = await queued.trigger("v4")  # what a person has begun, a person ends
    assert "waits behind operation 4 (deploy v3) by uid 1 (ann), until: " in waits.said
