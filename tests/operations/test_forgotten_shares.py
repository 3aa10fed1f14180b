"""Clients who could not be led back: what they were on ends once they are, whoever has done it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest

from bluegreen.errors import StoreError, TrafficError
from bluegreen.model import (
    Lane,
    OperationKind,
    Share,
    Slot,
    SlotRecord,
    SlotState,
    Traffic,
)
from bluegreen.operations import recovery
from bluegreen.operations.forgotten_shares import ForgottenShares
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.warmth import Warmth
from tests.operations.queued import PERSON, QueuedDesk
from tests.waiting import eventually


class Ended:
    """What is to be stopped of refused releases."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []

    def end_refused(self, _: AppRuntime, slot: Slot) -> None:
        self.slots.append(slot)


async def test_what_an_operators_switch_has_led_clients_back_from_is_stopped_too(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> tuple[str, ...]:
        raise TrafficError("the disk refuses it", remedy="mend the disk")

    async def back() -> tuple[str, ...]:
        return ()

    ended, app = Ended(), queued.app
    shares = ForgottenShares(cast("Warmth", ended))
    alone = queued.traffic.now
    in_steps = Traffic(active=Slot.BLUE, closed=False, share=Share(slot=Slot.GREEN, percent=10))
    for ending, later in ((back, alone), (refused, in_steps), (refused, alone)):
        monkeypatch.setattr(app, "end_share", ending)
        queued.traffic.now = in_steps
        await shares.end(app)
        queued.traffic.now = later
        for _ in range(2):
            await shares.end(app)
    assert ended.slots == [Slot.GREEN, Slot.GREEN]


async def test_what_an_operation_has_left_that_is_not_settled_is_neither_ended_nor_called_ready(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    async def unreadable(*_: object) -> None:
        raise StoreError("the disk does not give it", remedy="mend the disk")

    async def end_share() -> tuple[str, ...]:
        done.append("clients led back")
        return ()

    async def warm(_: AppRuntime, slot: Slot) -> None:
        done.append(f"{slot} warmed up")

    monkeypatch.setattr(recovery, "_recover_one", unreadable)
    monkeypatch.setattr(queued.app, "end_share", end_share)
    monkeypatch.setattr(queued.desk.warmth, "_warm", warm)
    monkeypatch.setattr(type(queued.app), "is_proved", lambda *_: False)
    begun = await queued.store.create_operation(
        app="a", kind=OperationKind.DEPLOY, lane=Lane.RELEASE, version="v2", slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=PERSON,
    )  # fmt: skip
    green = SlotRecord(
        app="a", slot=Slot.GREEN, state=SlotState.STARTING, version="v2", operation=begun.id
    )
    queued.app.slots[Slot.GREEN] = green
    share = Share(slot=Slot.GREEN, percent=10)
    queued.traffic.now = Traffic(active=Slot.BLUE, closed=False, share=share)
    await recovery.recover(queued.desk, ["a"])
    assert [*queued.desk.unsettled] == [begun.id]
    await asyncio.sleep(0)
    assert done == []
    # What the slot held before is no business of that operation.
    queued.app.slots[Slot.GREEN] = replace(green, operation=begun.id + 1)
    await recovery.recover(queued.desk, ["a"])
    await eventually(lambda: done == ["green warmed up"], "it is as warm as it was")
