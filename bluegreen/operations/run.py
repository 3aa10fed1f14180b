"""An operation in progress, as its phases see it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, Protocol

from bluegreen.data.schema import Schema
from bluegreen.errors import BusyError
from bluegreen.invariants.comparison import Measured
from bluegreen.migrations.nouns import MigrationPlace
from bluegreen.model import (
    Operation,
    OperationKind,
    PhaseName,
    PhaseState,
    ProbeResult,
    Release,
    Slot,
    SlotRecord,
)
from bluegreen.operations.runtime import AppRuntime
from bluegreen.watching.judging import Before, Judge
from bluegreen.watching.recording import Recording

log = logging.getLogger(__name__)


class Interruption(Enum):
    """Why a running operation is told to end."""

    CANCEL = "cancelled by an operator"
    SWITCH_BACK = "an operator's switch took its place"
    NEWER = "a newer release took its place"
    SHUTDOWN = "the daemon is stopping"


@dataclass(frozen=True, kw_only=True)
class Promotion:
    """Where a release stands that a person may let go on. Times are Unix seconds."""

    phase: PhaseName
    since: float
    until: float
    slot: Slot | None  # where it can be seen; None: it is not started yet
    share: int | None = None  # percent of the clients that are on it already
    steps: tuple[int, ...] = ()  # percents, each a share that it takes or will


# In these a release may stand for long, and a daemon that ends leaves it there for the next one.
STANDING = frozenset({PhaseName.PROMOTE, PhaseName.STEPS})


@dataclass(frozen=True, kw_only=True)
class Stepping:
    """How clients go over, as the operation has begun it, whatever the app file says since."""

    percents: tuple[int, ...]
    pause: float  # seconds that each is watched
    sticky: str  # what tells clients apart: ``cookie`` or ``address``


@dataclass
class Migrating:
    """What an operation knows of the app's migrations on its way."""

    place: MigrationPlace | None = None
    pending: tuple[str, ...] | None = None  # None: nothing can say it
    schema: Schema | None = None  # of the real data, before anything was run
    backup: int | None = None
    rehearsal_over: bool = True  # the tree's links lead to the real data
    # How long it took on the copy: run, or the start of an app that migrates as it starts.
    rehearsed_seconds: float | None = None  # None: it was not rehearsed, or nothing was pending
    left: tuple[str, ...] = ()  # what could not be undone, in words
    remedy: str | None = None  # what to do about it
    came_after: tuple[str, ...] = ()  # the release that a rollback is to, the newest first
    rolled_back: tuple[str, ...] = ()  # by a rollback, the newest first
    unrestored: bool = False  # a backup should have been put back, and could not


@dataclass
class Run:
    """One operation while it runs: what its phases hand on to each other."""

    app: AppRuntime
    operation: Operation
    target: Slot
    origin: Slot | None  # the slot that was active when it began
    release: Release | None = None
    tree: Path | None = None
    previous: SlotRecord | None = None  # what the target slot held before
    measured: Sequence[Measured] = ()  # before it started
    watch_deadline: float | None = None  # Unix seconds, once the watch has begun
    promote_until: float | None = None  # Unix seconds, once it waits for a person
    promotion: Promotion | None = None  # while a person may let it go on
    stepping: Stepping | None = None  # once it takes steps
    go_on: asyncio.Event = field(default_factory=asyncio.Event)  # a person has, and it is recorded
    before: Before | None = None  # what the slot did that served until the watch
    recording: Recording | None = None  # of requests, where nginx tells of them
    judge: Judge | None = None  # while it is watched
    judged_until: float = 0.0  # by the event loop's clock
    gate_seconds: float | None = None  # how long health must hold; None: as configured
    pinned_commit: str | None = None  # deploy this commit, whatever the version names today
    drained: Mapping[Slot, SlotRecord] = field(default_factory=dict)  # what the slots held before
    forward_until: float | None = None  # while requests are held; by the event loop's clock
    was_closed: bool = False  # before an operation that closes it
    switched: bool = False  # traffic has been on the target, whatever came after
    interruption: Interruption | None = None
    daemon_ends: bool = False  # also where the operation is ending already, and is left to it
    repeats: bool = False  # phases that are recorded as done are done once more
    in_phases: bool = False  # only then may the task be cancelled
    ending: bool = False
    given_up: bool = False  # it has failed, or a person has ended it: it is not begun again
    migrating: Migrating = field(default_factory=Migrating)
    waiting_for: str | None = None  # what keeps it from going on, in words
    task: asyncio.Task[Operation] | None = None
    moved: asyncio.Event = field(default_factory=asyncio.Event)  # traffic has, and it is recorded
    unrecordable: asyncio.Event = field(default_factory=asyncio.Event)  # its outcome, for now
    recorded: dict[PhaseName, PhaseState] = field(default_factory=dict)
    unrecorded: list[tuple[PhaseName, PhaseState]] = field(default_factory=list)  # the disk is full
    _probes: dict[tuple[str, str], bool] = field(default_factory=dict)
    _notes: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def logs(self) -> Path:
        return self.app.layout.operation_logs(self.operation.id)

    @property
    def named(self) -> dict[str, object]:
        """What a log call about it says by ``extra=``: fields in the journal."""
        return {"app": self.app.name, "operation": self.operation.id}

    @property
    def is_alone(self) -> bool:
        """Whether nobody else touches the app's data, so that a backup may be put back.

        Its requests are held; or would be, were the app not out of service, as it stays throughout.
        """
        if PhaseName.HOLD in self.recorded:
            return True
        settings = self.app.settings
        section, traffic = settings.migrations, self.app.parts.traffic.read(self.app.name)
        if traffic.active is None or not traffic.closed or not self.operation.kind.is_release:
            return False
        return not settings.app.overlap or (section is not None and section.mode == "hold")

    @property
    def stands(self) -> bool:
        """Whether it has come no further than to a phase in which it may stand for long."""
        last = next(reversed(self.recorded), None)
        return last in STANDING and self.recorded[last] in (PhaseState.INTENT, PhaseState.DONE)

    async def note(self, kind: str, **data: object) -> None:
        await self.app.parts.note(self.app.name, self.operation.id, kind, **data)

    async def say(self, line: str) -> None:
        """Note a line of what long work says of its progress."""
        await self.note("output", message=line)

    def on_probe(self, result: ProbeResult) -> None:
        """Note a probe's first answer and every change of mind, not each of its many answers."""
        name = (result.service, result.probe)
        before = self._probes.get(name)
        not_up_yet = before is None and result.answer == "connection refused"
        if before is result.passed or not_up_yet:
            return
        self._probes[name] = result.passed
        task = asyncio.create_task(
            self.note(
                "probe",
                service=result.service, probe=result.probe,
                passed=result.passed, answer=result.answer,
            ),
            name=f"note of a probe of operation {self.operation.id}",
        )  # fmt: skip
        self._notes.add(task)
        task.add_done_callback(self._notes.discard)

    async def notes_written(self) -> None:
        if self._notes:
            await asyncio.wait(self._notes, timeout=5)

    async def record(
        self,
        phase: PhaseName,
        state: PhaseState,
        data: Mapping[str, Any] | None = None,
        *,
        slot: SlotRecord | None = None,
    ) -> None:
        """Record a step durably, and with it what the target slot holds now.

        Cancelled, it is over only when it is known whether the step is on disk.
        """
        recording = asyncio.create_task(
            self._record(phase, state, data or {}, slot),
            name=f"record of {phase} {state} of operation {self.operation.id}",
        )
        try:
            await asyncio.shield(recording)
        except asyncio.CancelledError:
            await asyncio.wait([recording])
            if not recording.cancelled() and (error := recording.exception()) is not None:
                log.warning(
                    "operation %d: %s %s: %s", self.operation.id, phase, state, error,
                    extra=self.named,
                )  # fmt: skip
            raise

    async def _record(
        self, phase: PhaseName, state: PhaseState, data: Mapping[str, Any], slot: SlotRecord | None
    ) -> None:
        await self.app.parts.store.record_phase(self.operation.id, phase, state, data, slot=slot)
        self.recorded[phase] = state
        if phase is PhaseName.SWITCH and state is PhaseState.DONE:
            self.switched = True
            self.moved.set()
        if slot is not None:
            self.app.slots[slot.slot] = slot

    def interrupt(self, why: Interruption) -> None:
        """Tell the operation to end at its next safe place. The first reason stands.

        One that is ending already, or undoing what it did, is left to it.
        """
        self.daemon_ends = self.daemon_ends or why is Interruption.SHUTDOWN
        if self.interruption is None and not self.ending:
            self.interruption = why
            if self.in_phases and self.task is not None:
                self.task.cancel()

    async def ended(self, *, or_moved: bool = False) -> None:
        """Wait until it has ended or, so asked, has moved traffic.

        Raises BusyError where all is done but the store does not take the outcome: that may last.
        """
        if self.task is None:
            return
        awaited = [self.unrecordable, self.moved] if or_moved else [self.unrecordable]
        named = f"operation {self.operation.id} is waited for"
        seen = [asyncio.create_task(event.wait(), name=named) for event in awaited]
        try:
            await asyncio.wait([self.task, *seen], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in seen:
                task.cancel()
        if self.task.done() or (or_moved and self.moved.is_set()):
            return
        app, operation = self.app.name, self.operation
        raise BusyError(
            f"{app}: operation {operation.id} ({operation.kind}) is at its end and waits for "
            f"{self.waiting_for}",
            remedy="free some space: its outcome is recorded by itself then, and the app is free; "
            f"see it: bluegreen status {app}",
        )


def subject(app: AppRuntime, kind: OperationKind, origin: Slot | None) -> Slot:
    """The slot that an operation is about where none is named; ``origin`` served at its start.

    Migrations by hand are about what serves, all others about where the next release goes.
    """
    return origin if kind is OperationKind.MIGRATE and origin is not None else app.idle


class Phase(Protocol):
    """One step of an operation."""

    name: PhaseName
    leaves_nothing: bool  # nothing that an undo would have to take back

    def limit(self, run: Run) -> float:
        """Seconds after which the phase has failed."""

    def intent(self, run: Run) -> dict[str, Any] | None:
        """What is recorded before the first side effect: enough to undo or resume.

        None: there is nothing to do, and the phase is left out.
        """

    async def act(self, run: Run) -> dict[str, Any]:
        """Do it; returns what is recorded of the result. Can be run again after a crash."""

    async def undo(self, run: Run) -> bool:
        """Leave the world as it was before. False: there is no way back from here."""
