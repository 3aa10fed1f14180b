"""The timer that ends a hold at its limit ends that hold, and no other."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import cast

from bluegreen.errors import TrafficError
from bluegreen.model import Hold, Requester, Slot, Traffic
from bluegreen.operations.holding import Holds
from bluegreen.operations.runtime import AppRuntime
from tests.waiting import PATIENCE, eventually


class ToldTraffic:
    """Holds that are said to be on disk."""

    def __init__(self, held: Hold | None) -> None:
        self.held = held
        self.trouble: TrafficError | None = None
        self.let_through = asyncio.Event()
        self.let_through.set()

    def read(self, app: str) -> Traffic:
        return Traffic(active=Slot.BLUE, closed=False, held=self.held)

    async def lift_hold(self, settings: object) -> Hold:
        assert self.held is not None
        released, self.held = self.held, None
        return released

    async def until_let_through(self, settings: object) -> None:
        await self.let_through.wait()
        if self.trouble is not None:
            raise self.trouble


def app(traffic: ToldTraffic) -> AppRuntime:
    async def note(*_: object, **__: object) -> None:
        pass

    parts = SimpleNamespace(traffic=traffic, note=note)
    return cast(
        AppRuntime,
        SimpleNamespace(name="shop", settings=None, parts=parts, commit=asyncio.Lock()),
    )


def hold(seconds: float, operation: int | None) -> Hold:
    now = time.time()
    return Hold(since=now, until=now + seconds, by="somebody", operation=operation)


BY = Requester(name="somebody", via="test")


def timers() -> list[str]:
    names = (task.get_name() for task in asyncio.all_tasks())
    return [name for name in names if name == "end of the hold of shop"]


async def test_a_hold_that_took_the_place_of_one_whose_time_is_over_goes_on() -> None:
    traffic = ToldTraffic(hold(0.01, operation=1))
    holds, shop = Holds(), app(traffic)
    await holds.keep(shop)
    traffic.held = later = hold(60, operation=2)
    await eventually(lambda: not timers(), "the first one's timer has ended")
    assert traffic.held == later
    await holds.close()


async def test_one_that_took_its_place_is_ended_at_its_own_limit() -> None:
    traffic = ToldTraffic(hold(60, operation=1))
    holds, shop = Holds(), app(traffic)
    await holds.keep(shop)
    traffic.held = hold(0.01, operation=2)
    await holds.keep(shop)
    await eventually(lambda: traffic.held is None, "the second one has ended")
    await holds.close()


async def test_a_release_that_nginx_does_not_confirm_is_one_with_a_warning() -> None:
    traffic = ToldTraffic(held := hold(60, operation=None))
    traffic.trouble = TrafficError("nginx does not say so", remedy="see nginx")
    released, warnings = await Holds().release(app(traffic), BY)
    assert (released, warnings) == (held, ("nginx does not say so; see nginx",))
    assert traffic.held is None


async def test_while_the_last_ones_are_let_through_traffic_may_move() -> None:
    traffic = ToldTraffic(hold(60, operation=None))
    traffic.let_through.clear()
    shop = app(traffic)
    releasing = asyncio.create_task(Holds().release(shop, BY))
    await eventually(lambda: traffic.held is None, "the hold is lifted")
    async with asyncio.timeout(PATIENCE), shop.commit:
        traffic.let_through.set()
    assert (await releasing)[1] == ()
