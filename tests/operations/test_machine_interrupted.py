"""Operations that are interrupted: by a cancel, and by a daemon or a host that stops."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from bluegreen.model import (
    Operation,
    OperationState,
    PhaseName,
    PhaseState,
)
from bluegreen.operations.machine import perform
from bluegreen.operations.run import Interruption, Run
from tests.operations.told import Told, ToldSupervisor, raise_broken, states
from tests.store.rows import opened


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


@pytest.mark.parametrize("before", [PhaseName.START, PhaseName.SWITCH])
async def test_what_ends_with_the_host_is_left_to_the_daemon_of_the_next_boot(
    run: Run, before: PhaseName
) -> None:
    cast("ToldSupervisor", run.app.parts.supervisor).host_ends = True
    diary: list[str] = []
    phases = [Told(before, diary), Told(PhaseName.WATCH, diary, act_as=raise_broken)]
    assert (await perform(run, phases)).state is OperationState.RUNNING
    assert diary == [before, "watch"]
    assert (await states(run))[-1] == ("watch", "intent")


async def test_what_cannot_be_undone_as_the_host_goes_down_is_undone_after_the_boot(
    run: Run,
) -> None:
    async def fail_with_the_host() -> None:
        cast("ToldSupervisor", run.app.parts.supervisor).host_ends = True
        await raise_broken()

    diary: list[str] = []
    phases = [
        Told(PhaseName.BACKUP, diary),
        Told(PhaseName.MIGRATE, diary, undo_as=fail_with_the_host),
        Told(PhaseName.GATE, diary, act_as=raise_broken, leaves_nothing=True),
    ]
    assert (await perform(run, phases)).state is OperationState.RUNNING
    assert diary == ["backup", "migrate", "gate", "undo migrate"]
    assert (await states(run))[-1] == ("migrate", "undoing")
