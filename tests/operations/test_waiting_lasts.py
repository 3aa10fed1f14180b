"""What waits outlasts daemons, full disks and kills, and ends with its app."""

from __future__ import annotations

import asyncio
import errno
import time
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import BuildError, BusyError, NotFoundError, StoreFullError
from bluegreen.model import (
    AppLock,
    Lane,
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
from bluegreen.operations.run import Interruption, Run
from tests.operations.queued import PERSON, QueuedDesk, opened
from tests.operations.told import Told
from tests.waiting import eventually

OLDER = SlotRecord(app="a", slot=Slot.GREEN, state=SlotState.COLD, version="v0")


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
    await queued.settled()  # v3 too, which would wait behind the lock
    await queued.desk.set_lock(AppLock(app="a", reason="fair", by="ann", at=time.time()))
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
    tries: list[object] = []

    async def full(*what: Any, **__: Any) -> Any:
        tries.append(what)
        raise StoreFullError("the store is full", remedy="free some space")

    async def busy(*what: Any) -> Any:
        tries.append(what)
        raise BusyError("a is busy", remedy="wait")

    async def unreadable(*what: Any) -> Any:
        tries.append(what)
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
            tries.clear()
            await eventually(lambda: len(tries) > 2, "it is tried, again and again")
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
