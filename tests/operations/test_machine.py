"""The path through the phases and back, with phases that do as a test tells them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import BuildError, StoreFullError
from bluegreen.layout import Layout
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Requester,
    Slot,
    SlotRecord,
    Traffic,
)
from bluegreen.operations.machine import perform
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.runtime import AppRuntime, Parts
from bluegreen.store import Store
from bluegreen.supervisors.interface import Supervisor
from bluegreen.traffic.control import TrafficControl
from tests.store.rows import opened

SETTINGS = AppSettings.model_validate(
    {"app": {"name": "a"}, "source": {"git": "/x"}, "services": {"s": {"command": "s"}}}
)
BROKEN = BuildError("it broke", remedy="mend it")


class _Traffic:
    """Traffic is on blue, whatever happens."""

    def read(self, app: str) -> Traffic:
        return Traffic(active=Slot.BLUE, closed=False)


@dataclass
class _Supervisor:
    """Knows only whether the host is going down."""

    host_ends: bool = False

    async def is_host_ending(self) -> bool:
        return self.host_ends


async def _nothing() -> None:
    """Does what most phases of these tests do."""


@dataclass
class Told:
    """A phase that does as it is told, and writes down that it did."""

    name: PhaseName
    diary: list[str]
    act_as: Callable[[], Awaitable[None]] = _nothing
    undo_as: Callable[[], Awaitable[None]] = _nothing
    leaves_nothing: bool = False
    goes_back: bool = True
    seconds: float = 5.0
    data: dict[str, Any] = field(default_factory=dict)

    def limit(self, run: Run) -> float:
        return self.seconds

    def intent(self, run: Run) -> dict[str, Any]:
        return self.data

    async def act(self, run: Run) -> dict[str, Any]:
        self.diary.append(self.name)
        await self.act_as()
        return {}

    async def undo(self, run: Run) -> bool:
        self.diary.append(f"undo {self.name}")
        await self.undo_as()
        return self.goes_back


@pytest.fixture
async def run(tmp_path: Path) -> AsyncIterator[Run]:
    store = await Store.open(tmp_path / "store.db")
    parts = Parts(
        layout=Layout(tmp_path),
        store=store,
        supervisor=cast("Supervisor", _Supervisor()),
        traffic=cast("TrafficControl", _Traffic()),
        builds=asyncio.Semaphore(1),
    )
    slots = {slot: SlotRecord(app="a", slot=slot) for slot in Slot}
    operation = await store.create_operation(
        app="a", kind=OperationKind.DEPLOY, lane=Lane.RELEASE, version="v1",
        slot=Slot.GREEN, from_slot=Slot.BLUE, requested_by=Requester(name="t", via="test"),
    )  # fmt: skip
    app = AppRuntime(settings=SETTINGS, parts=parts, slots=slots)
    yield Run(app=app, operation=operation, target=Slot.GREEN, origin=Slot.BLUE)
    await store.close()


async def raise_broken() -> None:
    raise BROKEN


async def states(run: Run) -> list[tuple[str, str]]:
    records = await run.app.parts.store.phases(run.operation.id)
    return [(record.phase, record.state) for record in records]


async def test_all_phases_are_done_in_order(run: Run) -> None:
    diary: list[str] = []
    operation = await perform(run, [Told(PhaseName.FETCH, diary), Told(PhaseName.BUILD, diary)])
    assert operation.state is OperationState.SUCCEEDED
    assert diary == ["fetch", "build"]
    assert await states(run) == [
        ("fetch", "intent"), ("fetch", "done"), ("build", "intent"), ("build", "done"),
    ]  # fmt: skip


async def test_the_intent_is_durable_before_the_act(run: Run) -> None:
    async def look() -> None:
        assert await states(run) == [("fetch", "intent")]

    phase = Told(PhaseName.FETCH, [], act_as=look)
    assert (await perform(run, [phase])).state is OperationState.SUCCEEDED


async def test_a_failure_undoes_what_was_begun_newest_first(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.FETCH, diary, leaves_nothing=True),
        Told(PhaseName.START, diary),
        Told(PhaseName.GATE, diary, act_as=raise_broken),
        Told(PhaseName.SWITCH, diary),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert (operation.error.kind, operation.error.message) == ("build", "it broke")
    assert diary == ["fetch", "start", "gate", "undo gate", "undo start"]
    assert (await states(run))[-5:] == [
        ("gate", "failed"), ("gate", "undoing"), ("gate", "undone"),
        ("start", "undoing"), ("start", "undone"),
    ]  # fmt: skip


async def test_a_phase_that_takes_too_long_has_failed(run: Run) -> None:
    async def hang() -> None:
        await asyncio.Event().wait()

    operation = await perform(run, [Told(PhaseName.FETCH, [], act_as=hang, seconds=0.05)])
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "timeout"
    assert "fetch phase" in operation.error.message


async def test_a_defect_is_reported_without_its_trace(run: Run) -> None:
    async def defect() -> None:
        raise KeyError("what")

    operation = await perform(run, [Told(PhaseName.FETCH, [], act_as=defect)])
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "internal"
    assert "Traceback" not in operation.error.message


@pytest.mark.parametrize(
    ("why", "state"),
    [
        (Interruption.CANCEL, OperationState.CANCELLED),
        (Interruption.SWITCH_BACK, OperationState.SUPERSEDED),
        (Interruption.SHUTDOWN, OperationState.INTERRUPTED),
    ],
)
async def test_an_interrupted_operation_is_undone(
    run: Run, why: Interruption, state: OperationState
) -> None:
    diary: list[str] = []
    reached = asyncio.Event()

    async def wait() -> None:
        reached.set()
        await asyncio.Event().wait()

    phases = [Told(PhaseName.START, diary), Told(PhaseName.GATE, diary, act_as=wait)]
    run.task = asyncio.create_task(perform(run, phases), name="operation")
    await reached.wait()
    run.interrupt(why)
    operation = await run.task
    assert operation.state is state
    assert operation.error is not None
    assert operation.error.message.startswith(why.value)
    assert diary == ["start", "gate", "undo gate", "undo start"]


async def test_a_release_that_fails_after_the_switch_is_rolled_back(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.SWITCH, diary),
        Told(PhaseName.WATCH, diary, act_as=raise_broken, leaves_nothing=True),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.ROLLED_BACK
    assert diary == ["switch", "watch", "undo switch"]


async def test_where_there_is_no_way_back_it_stays_and_says_so(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.START, diary),
        Told(PhaseName.SWITCH, diary, goes_back=False),
        Told(PhaseName.WATCH, diary, act_as=raise_broken, leaves_nothing=True),
    ]
    operation = await perform(run, phases)
    assert operation.state is OperationState.FAILED
    assert diary == ["start", "switch", "watch", "undo switch"]


async def test_clearing_up_that_fails_takes_no_release_back(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.SWITCH, diary),
        Told(PhaseName.SETTLE, diary, act_as=raise_broken),
    ]
    assert (await perform(run, phases)).state is OperationState.SUCCEEDED
    assert diary == ["switch", "settle"]
    assert (await states(run))[-1] == ("settle", "failed")


@dataclass
class Begun(Told):
    """One that says when its intent is about to be recorded."""

    about_to: asyncio.Event = field(default_factory=asyncio.Event)

    def intent(self, run: Run) -> dict[str, Any]:
        self.about_to.set()
        return {}


async def interrupted_in_the_commit_of(run: Run, phases: list[Told], last: Begun) -> Operation:
    """Perform ``phases`` and ``last``; a cancel comes while the intent of that is committed."""
    with opened(run.app.parts.layout.root / "store.db") as other:
        for phase in phases:
            await run.record(phase.name, PhaseState.INTENT)
            await run.record(phase.name, PhaseState.DONE)
        other.execute("BEGIN IMMEDIATE")  # the transaction of the intent has to wait
        run.task = asyncio.create_task(perform(run, [*phases, last]), name="operation")
        await last.about_to.wait()
        run.interrupt(Interruption.CANCEL)
        other.execute("ROLLBACK")
    return await run.task


async def test_a_phase_whose_intent_is_committed_as_a_cancel_comes_is_undone(run: Run) -> None:
    diary: list[str] = []
    gate = Begun(PhaseName.GATE, diary)
    operation = await interrupted_in_the_commit_of(run, [Told(PhaseName.START, diary)], gate)
    assert operation.state is OperationState.CANCELLED
    assert diary == ["undo gate", "undo start"]
    assert (await states(run))[2:] == [
        ("gate", "intent"), ("gate", "failed"), ("gate", "undoing"), ("gate", "undone"),
        ("start", "undoing"), ("start", "undone"),
    ]  # fmt: skip


async def test_clearing_up_that_is_cancelled_as_it_begins_is_not_left_begun(run: Run) -> None:
    switch = Told(PhaseName.SWITCH, [])
    operation = await interrupted_in_the_commit_of(run, [switch], Begun(PhaseName.SETTLE, []))
    assert operation.state is OperationState.SUCCEEDED
    assert (await states(run))[2:] == [("settle", "intent"), ("settle", "failed")]


async def test_a_daemon_that_stops_leaves_the_clearing_up_to_the_next(run: Run) -> None:
    async def is_stopped() -> None:
        run.interrupt(Interruption.SHUTDOWN)
        await asyncio.sleep(0)

    diary: list[str] = []
    phases = [
        Told(PhaseName.SWITCH, diary),
        Told(PhaseName.SETTLE, diary, act_as=is_stopped),
    ]
    run.task = asyncio.create_task(perform(run, phases))
    assert (await run.task).state is OperationState.RUNNING
    assert (await states(run))[-1] == ("settle", "intent")


@pytest.mark.parametrize(
    ("phase", "state"),
    [
        (PhaseName.GATE, OperationState.INTERRUPTED),
        (PhaseName.WATCH, OperationState.RUNNING),  # which goes on after the boot
    ],
)
async def test_what_ends_with_the_host_is_not_held_against_the_release(
    run: Run, phase: PhaseName, state: OperationState
) -> None:
    cast("_Supervisor", run.app.parts.supervisor).host_ends = True
    before = PhaseName.START if phase is PhaseName.GATE else PhaseName.SWITCH
    phases = [Told(before, []), Told(phase, [], act_as=raise_broken, leaves_nothing=True)]
    assert (await perform(run, phases)).state is state


async def test_an_undo_that_fails_does_not_keep_the_others_from_being_undone(run: Run) -> None:
    diary: list[str] = []
    phases = [
        Told(PhaseName.FETCH, diary),
        Told(PhaseName.START, diary, undo_as=raise_broken),
        Told(PhaseName.GATE, diary, act_as=raise_broken),
    ]
    assert (await perform(run, phases)).state is OperationState.FAILED
    assert diary == ["fetch", "start", "gate", "undo gate", "undo start", "undo fetch"]
    assert ("start", "failed") in await states(run)


@pytest.mark.parametrize(
    ("raised", "said", "traced"),
    [(BROKEN, "it broke; mend it", False), (KeyError("x"), "unexpected KeyError: 'x'", True)],
)
async def test_an_undo_that_is_refused_leaves_no_trace_in_the_log_and_a_defect_does(
    run: Run, caplog: pytest.LogCaptureFixture, raised: Exception, said: str, traced: bool
) -> None:
    async def fail() -> None:
        raise raised

    phases = [
        Told(PhaseName.START, [], undo_as=fail),
        Told(PhaseName.GATE, [], act_as=raise_broken),
    ]
    await perform(run, phases)
    (record,) = caplog.records
    message = f"undoing the start phase failed: {said}"
    assert record.getMessage() == f"operation 1: {message}"
    assert ("Traceback" in caplog.text) is traced
    events = await run.app.parts.store.events(operation=1)
    assert [event.data for event in events if event.kind == "warning"] == [{"message": message}]


async def test_what_is_logged_of_an_operation_names_it_for_the_journal(
    run: Run, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def defect() -> None:
        raise KeyError("what")

    async def refuse(**_: Any) -> None:
        raise StoreFullError("full", remedy="free some space")

    monkeypatch.setattr(run.app.parts.store, "add_event", refuse)
    phases = [
        Told(PhaseName.START, [], undo_as=raise_broken),
        Told(PhaseName.GATE, [], act_as=defect),
    ]
    await perform(run, phases)
    records = [record for record in caplog.records if record.name.startswith("bluegreen.")]
    assert [record.getMessage() for record in records] == [
        "operation 1 of a failed",
        "operation 1: undoing the start phase failed: it broke; mend it",
        "event of a not recorded: full",
    ]
    assert [(vars(record)["app"], vars(record)["operation"]) for record in records] == [
        ("a", 1), ("a", 1), ("a", 1),
    ]  # fmt: skip


async def test_on_a_full_disk_nothing_is_begun_and_the_outcome_is_recorded_later(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    diary: list[str] = []
    store = run.app.parts.store
    finish = store.finish_operation
    full = StoreFullError("full", remedy="free some space")
    refusals = 0

    async def refuse(*arguments: Any, **options: Any) -> None:
        raise full

    async def refuse_twice(*arguments: Any, **options: Any) -> Any:
        nonlocal refusals
        refusals += 1
        if refusals < 3:
            raise full
        return await finish(*arguments, **options)

    monkeypatch.setattr("bluegreen.operations.machine.FULL_DISK_RETRY", 0.01)
    monkeypatch.setattr(store, "record_phase", refuse)
    monkeypatch.setattr(store, "finish_operation", refuse_twice)
    operation = await perform(run, [Told(PhaseName.FETCH, diary)])
    assert diary == []
    assert operation.state is OperationState.FAILED
    assert operation.error is not None
    assert operation.error.kind == "store-full"
    assert PhaseState.INTENT not in run.recorded.values()
