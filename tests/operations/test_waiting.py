"""What triggers ask for: begun at once, or in its turn, or not at all, and all of it said."""

from __future__ import annotations

import asyncio
import errno
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import BuildError, BusyError, NotFoundError, RefusedError, StoreFullError
from bluegreen.model import (
    AppLock,
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Slot,
    SlotRecord,
    SlotState,
    Traffic,
)
from bluegreen.operations import recovery, switching, waiting
from bluegreen.operations.machine import conclude, perform
from bluegreen.operations.recorded_run import run_from_records
from bluegreen.operations.run import Interruption, Promotion, Run
from bluegreen.operations.switching import Switched
from tests.operations.queued import PERSON, QueuedDesk, opened
from tests.operations.told import Told
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


# -- the end of daemons and of apps ---------------------------------------------------------------


async def test_what_waits_outlasts_the_daemon_in_its_order(
    queued: QueuedDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    queued.configure(queue={"policy": "serial"})
    for version in ("v2", "v3", "v4"):
        await queued.trigger(version)
    await queued.desk.close()  # which interrupts the first
    assert [state for _, state in await queued.states()] == [
        "interrupted", "queued", "queued", "queued",
    ]  # fmt: skip
    await queued.store.close()
    after = await opened(tmp_path, monkeypatch, queue={"policy": "serial"})
    await recovery.recover(after.desk, ["a"])
    await after.settled()
    assert after.began == ["v2", "v3", "v4"]
    repeated = await after.store.operation(4)
    assert (repeated.version, repeated.attempt, repeated.repeats) == ("v2", 2, 1)
    await after.desk.close()
    await after.store.close()


async def test_a_release_in_which_daemons_end_is_not_tried_for_ever(
    queued: QueuedDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await queued.trigger("v2")
    await queued.desk.close()
    for _ in range(2):
        await queued.store.close()
        queued = await opened(tmp_path, monkeypatch)
        await recovery.recover(queued.desk, ["a"])
        await queued.builds("v2")
        await queued.desk.close()
    assert await queued.states() == [("v2", "interrupted")] * 3
    await queued.store.close()


async def test_of_an_app_that_is_removed_nothing_waits_on(queued: QueuedDesk) -> None:
    first = await queued.trigger("v2")
    await queued.trigger("v3")
    assert await queued.ended(first.operation) is OperationState.SUCCEEDED
    await queued.desk.set_lock(AppLock(app="a", reason="fair", by="ann", at=time.time()))
    await queued.settled()
    await queued.trigger("v4")
    async with queued.app.admission:
        late = asyncio.create_task(queued.trigger("v5"), name="late")
        await asyncio.sleep(0)
        queued.app.removed = True
        await queued.desk.waiting.forget(queued.app)
    with pytest.raises(NotFoundError, match="no app named a any more"):
        await late
    assert (await queued.states())[-1] == ("v4", "cancelled")


# -- a full disk ----------------------------------------------------------------------------------


async def test_a_trigger_that_is_not_on_disk_is_refused_and_one_that_is_waits(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> Any:
        raise StoreFullError("the store is full", remedy="free some space")

    async def busy(*_: Any) -> Any:
        raise BusyError("a is busy", remedy="wait")

    async def unreadable(*_: Any) -> Any:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(waiting, "LOOK_AGAIN", 0.01)
    kept = queued.store.waiting
    with monkeypatch.context() as patched:
        patched.setattr(kept, "add", full)
        with pytest.raises(StoreFullError):
            await queued.trigger("v2", key="1")
    for number, fails in enumerate((full, busy, unreadable), start=2):
        with monkeypatch.context() as patched:
            patched.setattr(kept, "begin", fails)
            waits = await queued.trigger(f"v{number}", key=f"{number}")
            assert waits.operation is not None
            assert waits.operation.state is OperationState.QUEUED
            place = queued.desk.waiting._place(queued.app)
            await eventually(lambda at=place: at.task is not None, "its turn is waited for")
            for _ in range(3):  # it is tried, again and again
                await asyncio.sleep(waiting.LOOK_AGAIN)
        assert (await queued.settled())[-1] == (f"v{number}", "succeeded")
        queued.go_on.clear()


async def test_a_switch_that_no_history_has_is_a_persons_decision_all_the_same(
    queued: QueuedDesk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await queued.store.create_operation(
        app="a", kind=OperationKind.SWITCH, lane=Lane.SWITCH, version="v1", slot=Slot.BLUE,
        from_slot=Slot.GREEN, requested_by=PERSON, first_phase=PhaseName.SWITCH,
    )  # fmt: skip
    moved = (PhaseName.SWITCH, PhaseState.DONE, dict[str, Any]())
    await queued.store.finish_operation(begun.id, OperationState.SUCCEEDED, phase=moved)
    await queued.desk.resume("a")
    await recovery.recover(queued.desk, ["a"])
    assert await queued.store.waiting.pause("a") is None
    await queued.store.close()

    async def full(**_: Any) -> Any:
        raise StoreFullError("the store is full", remedy="free some space")

    monkeypatch.setattr(switching, "RETRY", 0.01)
    after = await opened(tmp_path, monkeypatch)
    after.app.slots[Slot.GREEN] = OLDER
    after.traffic.now = Traffic(active=Slot.GREEN, closed=False)  # and then it was killed
    with monkeypatch.context() as patched:
        patched.setattr(after.store, "create_operation", full)
        await recovery.recover(after.desk, ["a"])
        said = (await after.trigger("v2")).said
        assert said.endswith("waits behind a switch that is not in the history yet")
    await eventually(lambda: not after.app.unrecorded, "it is in the history")
    pause = await after.store.waiting.pause("a")
    assert pause is not None
    assert pause.by == recovery.SOMEBODY.name
    found = await after.store.operation(pause.operation)
    assert (found.slot, found.state) == (Slot.GREEN, OperationState.SUCCEEDED)
    await recovery.recover(after.desk, ["a"])  # which is not another one
    assert len(await after.states()) == 3
    await after.desk.close()
    await after.store.close()


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


@pytest.mark.parametrize(
    ("why", "begins_again"),
    [(None, False), (Interruption.CANCEL, False), (Interruption.SHUTDOWN, True)],
    ids=["failed", "cancelled", "shut down"],
)
async def test_killed_in_the_undoing_it_is_begun_again_if_nobody_has_given_it_up(
    run: Run, why: Interruption | None, begins_again: bool
) -> None:
    store = run.app.parts.store
    await store.finish_operation(run.operation.id, OperationState.SUCCEEDED)
    added = await store.waiting.add(
        app="a", version="v2", requested_by=PERSON, idempotency_key=None
    )
    begun = await store.waiting.begin(added.id, Slot.GREEN, Slot.BLUE)
    assert begun is not None
    run.operation = begun
    killed = asyncio.Event()

    async def ends() -> None:
        if why is None:
            raise BuildError("it broke", remedy="mend it")
        run.interrupt(why)
        await asyncio.sleep(0)

    async def undoing() -> None:
        killed.set()
        await asyncio.Event().wait()

    phases = [Told(PhaseName.BUILD, [], undo_as=undoing, act_as=ends)]
    run.task = asyncio.create_task(perform(run, phases), name="one that is killed")
    await killed.wait()
    run.task.cancel()
    await asyncio.gather(run.task, return_exceptions=True)
    found = run_from_records(run.app, run.operation, await store.phases(added.id))
    await conclude(found, [Told(PhaseName.BUILD, [])], None)
    assert (await store.operation(added.id)).state is OperationState.INTERRUPTED
    assert len(await store.waiting.of("a")) == begins_again
    attempt = await store.waiting.latest_attempt("a", version="v2", commit=None)
    assert (attempt is None) == begins_again


async def test_a_newer_release_takes_the_place_of_one_that_waits_to_be_promoted(
    queued: QueuedDesk,
) -> None:
    def stand() -> None:
        run = queued.desk.running("a")
        assert run is not None
        run.promotion = Promotion(phase=PhaseName.PROMOTE, since=1.0, until=2.0, slot=run.target)

    await queued.trigger("v2")
    await queued.builds("v2")
    stand()
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
    await queued.desk.clear_lock("a")
    await queued.builds("v2.2")
    assert await queued.settled() == [
        ("v2", "superseded"), ("v2.1", "superseded"), ("v2.2", "succeeded"),
    ]  # fmt: skip
    await eventually(lambda: queued.desk.running("a") is None, "nothing runs")
    queued.go_on.clear()
    await queued.desk.deploy("a", "v3", PERSON)
    await queued.builds("v3")
    stand()
    waits = await queued.trigger("v4")  # what a person has begun, a person ends
    assert "waits behind operation 4 (deploy v3) by uid 1 (ann), until: " in waits.said
