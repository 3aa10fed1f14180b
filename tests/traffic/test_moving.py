"""The file that repeats a marker follows it, and can be waited for until it is written."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any, cast

from bluegreen.model import Slot, Traffic
from bluegreen.traffic.moving import Moving
from tests.waiting import PATIENCE


async def test_a_rewrite_that_is_under_way_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    begun, may_end, written = asyncio.Event(), threading.Event(), threading.Event()

    def remember(_: object) -> None:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(10)
        written.set()

    markers = SimpleNamespace(switch=lambda _: None, end_share=lambda: False)
    planner = SimpleNamespace(
        traffic=lambda _: Traffic(active=Slot.BLUE, closed=False),
        markers=lambda _: markers, remember=remember,
    )  # fmt: skip
    answer = SimpleNamespace(serves=lambda *_: True)
    confirmation = SimpleNamespace(expect_served=lambda _: None, ask_now=lambda _: answer)
    moving = Moving(cast("Any", planner), cast("Any", confirmation))
    await moving.switch(cast("Any", SimpleNamespace(name="shop")), Slot.GREEN)
    await begun.wait()
    waiting = asyncio.create_task(moving.all_remembered(["shop"]))
    await asyncio.sleep(0)
    may_end.set()
    async with asyncio.timeout(PATIENCE):
        await waiting
    assert written.is_set()
    await moving.end()
