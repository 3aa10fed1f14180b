"""The way back to a version that has stopped: where it is none, and what ends it on its way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.errors import RefusedError
from bluegreen.layout import Layout
from bluegreen.model import (
    Lane,
    Operation,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseRecord,
    PhaseState,
    Requester,
    Slot,
    SlotRecord,
    SlotState,
)
from bluegreen.operations.changing_places import change_places
from bluegreen.operations.recorded_run import run_from_records
from bluegreen.operations.run import Migrating, Run
from bluegreen.operations.runtime import AppRuntime
from tests.waiting import eventually


class ToldApp:
    """Traffic is on green; blue never comes up, and what is started or stopped is written down."""

    def __init__(self, mode: str | None = None) -> None:
        self.name, self.active = "shop", Slot.GREEN
        self.layout = Layout(Path("/nowhere")).app("shop")
        self.commit = asyncio.Lock()
        migrations = None if mode is None else SimpleNamespace(mode=mode)
        self.settings = SimpleNamespace(
            hold=SimpleNamespace(limit=60.0, forward=40.0), migrations=migrations
        )
        self.parts = SimpleNamespace(traffic=self)
        self.slots = {
            slot: SlotRecord(app="shop", slot=slot, state=SlotState.COLD, version=f"v{slot}")
            for slot in Slot
        }
        self.diary: list[str] = []

    def is_running(self, slot: Slot) -> bool:
        return False

    def is_proved(self, slot: Slot) -> bool:
        return True

    async def hold(self, *_: object, **__: object) -> None:
        self.diary.append("hold")

    async def keep_slot(self, record: SlotRecord) -> None:
        self.slots[record.slot] = record

    async def put_to_rest(self, slot: Slot, *, at_once: bool) -> None:
        self.diary.append(f"stop {slot}")

    async def start_services(self, slot: Slot) -> None:
        self.diary.append(f"start {slot}")
        if slot is Slot.BLUE:
            await asyncio.Event().wait()


def run_of(shop: ToldApp, kind: OperationKind, migrating: Migrating) -> Run:
    told = SimpleNamespace(
        app=shop, target=Slot.GREEN, migrating=migrating, recorded={}, logs=None, on_probe=None,
        operation=SimpleNamespace(id=3, kind=kind, requested_by=SimpleNamespace(name="somebody")),
    )  # fmt: skip
    return cast(Run, told)


async def test_cancelled_on_its_way_there_it_comes_back() -> None:
    shop = ToldApp()
    run = run_of(shop, OperationKind.DEPLOY, Migrating(pending=()))
    changing = asyncio.create_task(change_places(run, Slot.BLUE))
    await eventually(lambda: "start blue" in shop.diary, "blue is being started")
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    assert shop.diary == ["hold", "stop green", "start blue", "stop blue", "start green"]


DEPLOY, ROLLBACK, RESTART = OperationKind.DEPLOY, OperationKind.ROLLBACK, OperationKind.RESTART
MIGRATED, UNKNOWN, NONE = Migrating(pending=("1",)), Migrating(), Migrating(pending=())
REVERSED = Migrating(rolled_back=("1",))


@pytest.mark.parametrize(
    ("mode", "kind", "migrating", "lives"),
    [
        ("hold", DEPLOY, MIGRATED, False),
        ("hold", DEPLOY, UNKNOWN, False),
        ("hold", DEPLOY, NONE, True),
        ("hold", ROLLBACK, REVERSED, False),
        ("hold", ROLLBACK, UNKNOWN, True),
        ("hold", RESTART, UNKNOWN, True),
        ("online", DEPLOY, MIGRATED, True),
        (None, DEPLOY, UNKNOWN, True),
    ],
)
async def test_places_are_changed_unless_the_schema_is_one_that_the_other_cannot_live_with(
    mode: str | None, kind: OperationKind, migrating: Migrating, lives: bool
) -> None:
    shop = ToldApp(mode)
    run = run_of(shop, kind, migrating)
    # As far as the records go, all of the phases are through.
    run.recorded.update(dict.fromkeys((PhaseName.MIGRATE, PhaseName.REVERSE), PhaseState.DONE))
    changing = asyncio.create_task(change_places(run, Slot.BLUE))
    if lives:
        await eventually(lambda: "start blue" in shop.diary, "blue is being started")
        changing.cancel()
        await asyncio.wait([changing])
        return
    with pytest.raises(RefusedError, match="cannot live with the data as they are now"):
        await changing
    assert shop.diary == []


def test_a_later_daemon_knows_what_an_operation_has_done_to_the_schema() -> None:
    def recovered(kind: OperationKind, phase: PhaseName, data: dict[str, Any]) -> Migrating:
        operation = Operation(
            id=3, app="shop", kind=kind, lane=Lane.RELEASE, state=OperationState.RUNNING,
            version="v1", commit=None, slot=Slot.GREEN, from_slot=Slot.BLUE,
            requested_by=Requester(name="somebody", via="test"), created_at=0.0,
        )  # fmt: skip
        records = [
            PhaseRecord(operation=3, phase=phase, state=state, at=0.0, data=its)
            for state, its in ((PhaseState.INTENT, _INTENTS[phase]), (PhaseState.DONE, data))
        ]
        return run_from_records(cast(AppRuntime, ToldApp("hold")), operation, records).migrating

    reverse, rehearse = PhaseName.REVERSE, PhaseName.REHEARSE
    assert recovered(ROLLBACK, reverse, {"rolled_back": ["2", "1"]}).rolled_back == ("2", "1")
    assert recovered(ROLLBACK, reverse, {"skipped": "none"}).rolled_back == ()
    assert recovered(DEPLOY, rehearse, {"pending": []}).pending == ()
    assert recovered(DEPLOY, rehearse, {"pending": None}).pending is None


_INTENTS: dict[PhaseName, dict[str, Any]] = {
    PhaseName.REVERSE: {"after": "v1"},
    PhaseName.REHEARSE: {"tree": "/t", "rehearses": True},
}
