"""A desk whose deploys go through phases that a test holds up and lets fail."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import BuildError, SourceError
from bluegreen.layout import Layout
from bluegreen.model import (
    Operation,
    OperationState,
    PhaseName,
    Release,
    Requester,
    Slot,
    SlotRecord,
    SlotState,
    Traffic,
    UnitKey,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.desk import Desk
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime, Parts
from bluegreen.operations.triggers import Triggered
from bluegreen.store import Store
from bluegreen.supervisors.interface import Supervisor
from bluegreen.traffic.control import TrafficControl
from tests.waiting import eventually

HOOK = Requester(name="webhook", via="test")
PERSON = Requester(name="uid 1 (ann)", via="test")


@dataclass
class _Traffic:
    """A marker in memory."""

    now: Traffic = field(default_factory=lambda: Traffic(active=Slot.BLUE, closed=False))

    def read(self, app: str) -> Traffic:
        return self.now

    async def tell_of_requests(self, app: str, told: bool) -> None:
        """There is no nginx."""


class _Supervisor:
    """Whatever is asked of, runs."""

    async def is_host_ending(self) -> bool:
        return False

    def status(self, key: UnitKey) -> UnitStatus:
        return UnitStatus(key=key, state=UnitState.RUNNING)

    def units(self) -> list[UnitKey]:
        return []


@dataclass
class ReleasePhase:
    """All of a deploy in one phase: it is built, and serves."""

    desk: QueuedDesk
    name: PhaseName = PhaseName.BUILD
    leaves_nothing: bool = True

    def limit(self, run: Run) -> float:
        return 60.0

    def intent(self, run: Run) -> dict[str, Any]:
        return {"tree": str(None)}

    async def act(self, run: Run) -> dict[str, Any]:
        version = run.operation.version or ""
        if self.name is PhaseName.FETCH:
            raise SourceError(f"there is no {version}", remedy="publish it")
        release = Release(
            app=run.app.name, version=version, commit=self.desk.commits.get(version), origin="test"
        )
        await run.app.parts.store.resolve_release(run.operation.id, release)
        self.desk.began.append(version)
        await self.desk.go_on.wait()
        if version in self.desk.broken:
            raise BuildError("it broke", remedy="mend it")
        run.app.slots[Slot.BLUE] = SlotRecord(
            app=run.app.name, slot=Slot.BLUE, state=SlotState.COLD, version=version,
            commit=release.commit, operation=run.operation.id,
        )  # fmt: skip
        return {}

    async def undo(self, run: Run) -> bool:
        return True


@dataclass
class QueuedDesk:
    """The desk of one app ``a``, of which v1 serves; ``began`` is what came to its build."""

    desk: Desk
    traffic: _Traffic
    began: list[str] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)  # from the source
    commits: dict[str, str] = field(default_factory=dict)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def app(self) -> AppRuntime:
        return self.desk.apps["a"]

    @property
    def store(self) -> Store:
        return self.desk.parts.store

    def configure(self, **tables: Any) -> None:
        """Let the app file say that, besides what it has to."""
        self.app.settings = settings(**tables)
        self.desk.waiting.look(self.app)

    async def trigger(self, version: str, key: str | None = None, **more: Any) -> Triggered:
        return await self.desk.trigger("a", version, HOOK, key=key, **more)

    def phases(self, *_: object, **__: object) -> list[ReleasePhase]:
        """Of the operation that begins now."""
        run = self.desk.running("a")
        missing = run is not None and run.operation.version in self.missing
        return [ReleasePhase(self, PhaseName.FETCH if missing else PhaseName.BUILD)]

    async def builds(self, version: str) -> None:
        """Wait until it comes to its build."""
        await eventually(lambda: version in self.began, f"{version} is built")

    async def states(self) -> list[tuple[str | None, str]]:
        """Version and state of each operation, the oldest first."""
        found = await self.store.operations("a", limit=100)
        return [(one.version, one.state.value) for one in reversed(found)]

    async def settled(self) -> list[tuple[str | None, str]]:
        """Let all go on, and wait until nothing waits or runs."""
        self.go_on.set()

        async def is_over() -> bool:
            return all(state not in ("queued", "running") for _, state in await self.states())

        await eventually(is_over, "nothing waits")
        return await self.states()

    async def ended(self, operation: Operation | None) -> OperationState:
        """How an operation ends; it is let go on."""
        assert operation is not None
        self.go_on.set()

        async def outcome() -> OperationState | None:
            state = (await self.store.operation(operation.id)).state
            return state if state.is_final else None

        state: OperationState = await eventually(outcome, f"operation {operation.id} ends")
        await eventually(lambda: self.desk.running("a") is None, "nothing runs")
        self.go_on.clear()
        return state


def settings(**tables: Any) -> AppSettings:
    return AppSettings.model_validate(
        {"app": {"name": "a"}, "source": {"git": "/x"}, "services": {"s": {"command": "s"}}}
        | tables
    )


async def opened(directory: Path, monkeypatch: pytest.MonkeyPatch, **tables: Any) -> QueuedDesk:
    """A desk on the store in ``directory``, as a daemon has it after its start."""
    traffic = _Traffic()
    parts = Parts(
        layout=Layout(directory),
        store=await Store.open(directory / "store.db"),
        supervisor=cast("Supervisor", _Supervisor()),
        traffic=cast("TrafficControl", traffic),
        builds=asyncio.Semaphore(1),
    )
    queued = QueuedDesk(desk=Desk(parts), traffic=traffic)
    monkeypatch.setattr("bluegreen.operations.queue.phases_of", queued.phases)
    slots = {slot: SlotRecord(app="a", slot=slot) for slot in Slot}
    slots[Slot.BLUE] = SlotRecord(app="a", slot=Slot.BLUE, state=SlotState.COLD, version="v1")
    queued.desk.apps["a"] = AppRuntime(settings=settings(**tables), parts=parts, slots=slots)
    return queued
