"""Phases that do as a test tells them, and an operation that goes through them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import BuildError
from bluegreen.layout import Layout
from bluegreen.model import (
    Lane,
    OperationKind,
    PhaseName,
    Requester,
    Slot,
    SlotRecord,
    Traffic,
)
from bluegreen.operations.parts import Parts
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store import Store
from bluegreen.supervisors.interface import Supervisor
from bluegreen.traffic.control import TrafficControl

SETTINGS = AppSettings.model_validate(
    {"app": {"name": "a"}, "source": {"git": "/x"}, "services": {"s": {"command": "s"}}}
)
BROKEN = BuildError("it broke", remedy="mend it")


class _Traffic:
    """Traffic is on blue, whatever happens."""

    def read(self, app: str) -> Traffic:
        return Traffic(active=Slot.BLUE, closed=False)


@dataclass
class ToldSupervisor:
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
        supervisor=cast("Supervisor", ToldSupervisor()),
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
