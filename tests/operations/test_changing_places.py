"""The way back to a version that has stopped for the other one, and what keeps it from being one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
import pytest_asyncio

from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.operations.changing_places import change_places
from bluegreen.operations.run import Run
from tests.operations.asking import history_of
from tests.operations.data import OPTIONS
from tests.stack import Stack, stack
from tests.visits import served_version
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")


def alone(shop: Stack, extra: str = "", **options: Any) -> None:
    """Write an app file that says that two versions never run at once."""
    file = shop.write_app(extra=extra, **OPTIONS | options)
    file.write_text(file.read_text().replace("[app]\n", "[app]\noverlap = false\n"))


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v1 serves in blue, v2 has been in green."""
    async with stack() as built:
        alone(built)
        await built.serve()
        for version in ("v2", "v1"):
            await built.deploy(version)
        yield built


async def test_while_requests_are_held_by_hand_a_switch_that_holds_them_itself_is_refused(
    shop: Stack,
) -> None:
    newest = (await history_of(shop))[0]["id"]
    assert (await shop.cli("hold", "monitor", "--timeout", "1m")).status == 0
    refused = await shop.cli("switch", "back")
    assert refused.status == 4, refused.out + refused.err
    assert "let them through first: bluegreen release monitor" in refused.err
    assert (await history_of(shop))[0]["id"] == newest
    assert (await shop.status())["held"]["operation"] is None
    assert (await shop.cli("release", "monitor")).status == 0
    assert (await shop.cli("switch", "back")).status == 0
    assert await served_version(shop) == "v2"


async def test_where_the_version_of_before_does_not_come_up_in_time_the_newer_one_serves_again(
    shop: Stack,
) -> None:
    serving = shop.marker()
    alone(
        shop, '[hold]\nlimit = "6s"\n', watch="20s",
        env={"MONITOR_CRASH_AFTER": "2", "MONITOR_CRASH_SERVICE": "web"},
    )  # fmt: skip
    assert (await shop.cli("reload")).status == 0
    tree = shop.layout.app("monitor").slot(Slot(serving)).resolve()
    (tree / "monitor/web.py").write_text("import time\n\ntime.sleep(600)\n")
    answer = await shop.cli("deploy", "v3-crashes")
    assert answer.status == 1, answer.out + answer.err
    assert f"{serving} was not up again within the 4 s" in answer.out + answer.err
    assert shop.marker() != serving
    status = await shop.status()
    assert status["held"] is None
    assert status["slots"][serving]["state"] == "cold"
    await eventually(lambda: _answers(shop), "the newer version answers")


async def _answers(shop: Stack) -> bool:
    return await served_version(shop) == "v3-crashes"


class ToldApp:
    """Traffic is on green; blue never comes up, and what is started or stopped is written down."""

    def __init__(self) -> None:
        self.name, self.active = "shop", Slot.GREEN
        self.commit = asyncio.Lock()
        self.settings = SimpleNamespace(
            hold=SimpleNamespace(limit=60.0, forward=40.0), migrations=None
        )
        self.parts = SimpleNamespace(traffic=self)
        self.slots = {
            slot: SlotRecord(app="shop", slot=slot, state=SlotState.COLD, version=f"v{slot}")
            for slot in Slot
        }
        self.diary: list[str] = []

    def is_running(self, slot: Slot) -> bool:
        return False

    def is_ready(self, slot: Slot) -> bool:
        return True

    async def hold(self, *_: object, **__: object) -> None:
        self.diary.append("hold")

    async def keep_slot(self, record: SlotRecord) -> None:
        self.slots[record.slot] = record

    async def stop_services(self, slot: Slot, *, at_once: bool) -> None:
        self.diary.append(f"stop {slot}")

    async def start_services(self, slot: Slot) -> None:
        self.diary.append(f"start {slot}")
        if slot is Slot.BLUE:
            await asyncio.Event().wait()


async def test_cancelled_on_its_way_there_it_comes_back() -> None:
    shop = ToldApp()
    told = SimpleNamespace(
        app=shop, target=Slot.GREEN, migrating=SimpleNamespace(pending=(), rolled_back=()),
        recorded={}, logs=None, on_probe=None,
        operation=SimpleNamespace(id=3, requested_by=SimpleNamespace(name="somebody")),
    )  # fmt: skip
    changing = asyncio.create_task(change_places(cast(Run, told), Slot.BLUE))
    await eventually(lambda: "start blue" in shop.diary, "blue is being started")
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    assert shop.diary == ["hold", "stop green", "start blue", "stop blue", "start green"]
