"""An app whose requests are held, and those who wait."""

from __future__ import annotations

import asyncio
import time

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.model import Slot
from bluegreen.traffic.gate import HostGate
from tests.traffic.client import Reply, ask
from tests.traffic.conftest import World
from tests.traffic.test_switch import prepare
from tests.waiting import eventually

LONG = 60.0  # seconds: longer than what a test does meanwhile
HOLDABLE = ["site", "snippet"]
WAITING = 20


async def opened(world: World, mode: str = "site") -> AppSettings:
    """The app, with its traffic on blue."""
    settings = prepare(world, mode, "marker")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    return settings


async def hold(
    world: World, settings: AppSettings, seconds: float = LONG, ways: tuple[Slot, ...] = ()
) -> None:
    await world.control.hold(settings, until=time.time() + seconds, by="a test", ways=ways)


async def waiting(world: World) -> int:
    """How many requests the gate knows of; -1 while there is none."""
    try:
        return (await HostGate(world.layout).ask("shop")).waiting
    except TrafficError:
        return -1


async def until_waiting(world: World, count: int) -> None:
    async def all_wait() -> bool:
        return await waiting(world) == count

    await eventually(all_wait, f"{count} requests wait")


def send(world: World, count: int = WAITING) -> list[asyncio.Task[Reply]]:
    return [
        asyncio.create_task(ask(world.site, method="POST", body=b"hello"), name=f"post {number}")
        for number in range(count)
    ]


async def bodies(sent: list[asyncio.Task[Reply]]) -> set[str]:
    replies = await asyncio.gather(*sent)
    assert {reply.status for reply in replies} == {200}
    return {reply.body for reply in replies}
