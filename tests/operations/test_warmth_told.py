"""An idle slot that is to be stopped, and whoever ends that in the middle."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from types import SimpleNamespace
from typing import cast

import pytest

from bluegreen.errors import SupervisorError
from bluegreen.instances import unit_keys
from bluegreen.model import Slot, SlotRecord, SlotState, UnitKey
from bluegreen.operations.runtime import AppRuntime, end_task
from bluegreen.operations.warmth import Warmth
from tests.waiting import eventually


class ToldApp:
    """Traffic is on green; blue is hot, and cannot be started once it does not run."""

    name, active = "shop", Slot.GREEN

    def __init__(self, *, overlap: bool = True, ready: bool = True) -> None:
        self.commit = asyncio.Lock()
        service = SimpleNamespace(stop_timeout=0.0)
        self.settings = SimpleNamespace(
            app=SimpleNamespace(overlap=overlap),
            services={"web": service},
            keep=SimpleNamespace(drain_timeout=0.0),
        )
        self.parts = SimpleNamespace(traffic=self, note=self.note)
        self.warming: asyncio.Task[None] | None = None
        self.ready = ready
        self.writes = asyncio.Event()  # the store has taken the record
        self.writes.set()
        self.stopped: list[Slot] = []
        hot = SlotRecord(
            app="shop",
            slot=Slot.BLUE,
            state=SlotState.HOT,
            version="v1",
            hot_until=time.time() + 60,
        )
        self.slots = {Slot.BLUE: hot, Slot.GREEN: SlotRecord(app="shop", slot=Slot.GREEN)}

    closed = False
    trouble: Exception = SupervisorError("it does not start", remedy="mend it")

    def read(self, app: str) -> ToldApp:
        return self

    async def note(self, *_: object, **__: object) -> None:
        pass

    def view(self, slot: Slot) -> object:
        return SimpleNamespace(address=lambda _: None)

    def unit_keys(self, slot: Slot, services: Iterable[str]) -> list[UnitKey]:
        return unit_keys(self.name, slot, dict.fromkeys(services, 1))

    def is_proved(self, slot: Slot) -> bool:
        return self.ready

    async def start_services(self, slot: Slot) -> None:
        raise self.trouble

    async def keep_slot(self, record: SlotRecord) -> None:
        self.slots[record.slot] = record
        if record.state is SlotState.COLD:
            await self.writes.wait()

    async def stop_services(self, slot: Slot, *, at_once: bool = False) -> None:
        self.stopped.append(slot)

    async def stop_warming(self) -> None:
        task, self.warming = self.warming, None
        await end_task(task)

    def is_called_cold(self) -> bool:
        return self.slots[Slot.BLUE].state is SlotState.COLD


@pytest.mark.parametrize("why", ["its time is over", "two never run at once", "it does not start"])
async def test_what_is_called_cold_is_stopped_whoever_ends_it_in_the_middle(why: str) -> None:
    shop, warmth = ToldApp(), Warmth()
    if why == "its time is over":
        shop.slots[Slot.BLUE] = SlotRecord(
            app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1", hot_until=time.time()
        )
    elif why == "two never run at once":
        shop.settings.app.overlap = False
    else:
        shop.ready = False
    app = cast("AppRuntime", shop)
    shop.writes.clear()
    await warmth.keep(app)
    await eventually(shop.is_called_cold, "it is being recorded as cold")
    ends = asyncio.gather(warmth.stop_cooling("shop"), shop.stop_warming())
    await asyncio.sleep(0)
    shop.writes.set()
    await ends
    await eventually(lambda: shop.stopped == [Slot.BLUE], "it is stopped")
    await warmth.close()


async def test_one_that_is_not_called_cold_yet_keeps_its_time() -> None:
    shop, warmth = ToldApp(), Warmth()
    over = SlotRecord(
        app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1", hot_until=time.time()
    )
    shop.slots[Slot.BLUE] = over
    async with shop.commit:  # a switch moves the traffic
        await warmth.keep(cast("AppRuntime", shop))
        await asyncio.sleep(0)
        await warmth.stop_cooling("shop")
    assert shop.slots[Slot.BLUE] == over
    await warmth.keep(cast("AppRuntime", shop))
    await eventually(lambda: shop.stopped == [Slot.BLUE], "it is stopped")
    assert shop.is_called_cold()
    await warmth.close()


async def test_a_defect_leaves_no_slot_that_seems_to_start_and_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    shop, warmth = ToldApp(ready=False), Warmth()
    shop.trouble = OSError("no such thing")
    await warmth.keep(cast("AppRuntime", shop))
    await eventually(lambda: shop.warming is None, "it has given up")
    assert shop.is_called_cold()
    assert shop.stopped == [Slot.BLUE]
    await eventually(lambda: "task 'warm up shop blue' failed" in caplog.text, "it is in the log")
    await warmth.close()
