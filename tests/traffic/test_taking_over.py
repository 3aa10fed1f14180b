"""Before the first release, what ran before serves; the first switch of all takes over from it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.model import Slot, Traffic
from bluegreen.traffic.build import installed_build
from bluegreen.traffic.rendering import Templates
from tests.traffic.backends import Backend
from tests.traffic.client import Load, ask
from tests.traffic.conftest import World
from tests.traffic.test_switch import MODES, prepare
from tests.waiting import PATIENCE, eventually


@dataclass(frozen=True)
class Before:
    """What ran before, and the settings of the app that replaces it."""

    backend: Backend
    world: World

    def settings(self, mode: str) -> AppSettings:
        settings = prepare(self.world, mode, "marker")
        socket, port = self.backend.socket, self.backend.port
        web = settings.services["web"].model_copy(
            update={"replaces": str(socket) if socket else f"127.0.0.1:{port}"}
        )
        return settings.model_copy(update={"services": {"web": web}})


@pytest.fixture(params=["port", "socket"])
async def before(
    world: World, free_ports: Callable[[int], list[int]], tmp_path: Path, request: Any
) -> AsyncIterator[Before]:
    if request.param == "port":
        backend = Backend("old", free_ports(1)[0])
    else:
        backend = Backend("old", socket=tmp_path / "old.sock")
    async with backend.serving():
        yield Before(backend, world)


@pytest.mark.parametrize("mode", MODES)
async def test_what_is_replaced_serves_until_the_first_release_is_active(
    world: World, slots: dict[str, Backend], before: Before, mode: str
) -> None:
    settings = before.settings(mode)
    await world.control.open([settings])
    assert world.control.read("shop") == Traffic(active=None, closed=True)
    assert (await ask(world.site)).body == "old 0"
    posted = await ask(world.site, "/x?a=1", method="POST", body=b"x" * 300_000)
    assert posted.body == "old 300000"

    await world.control.switch(settings, Slot.BLUE)
    assert (await ask(world.site)).body == "blue 0"
    await world.control.switch(settings, Slot.GREEN)
    assert (await ask(world.site)).body == "green 0"
    # Out of service is out of service, whatever runs on.
    await world.control.set_closed(settings, True)
    closed = await ask(world.site)
    assert (closed.status, closed.headers["retry-after"]) == (503, "10")


@pytest.mark.parametrize("mode", MODES)
async def test_the_way_over_and_the_way_back_lose_no_keep_alive_post(
    world: World, slots: dict[str, Backend], before: Before, mode: str
) -> None:
    settings = before.settings(mode)
    await world.control.open([settings])
    async with Load(world.site).running() as load:
        for _ in range(25):  # requests that see the marker move between two looks at it
            await load.until(20)
            await world.control.switch(settings, Slot.BLUE)
            await load.until(20)
            await world.control.hand_back(settings)
        await load.until(20)
    assert load.failures == []
    assert set(load.answers) == {"old 5", "blue 5"}
    assert before.backend.posts + slots["blue"].posts == len(load.answers)


@pytest.mark.parametrize("mode", MODES)
async def test_a_websocket_to_what_is_replaced_outlives_the_first_switch(
    world: World, slots: dict[str, Backend], before: Before, mode: str
) -> None:
    settings = before.settings(mode)
    await world.control.open([settings])
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{world.site}/ws/echo") as socket,
    ):
        await socket.send_str("before")
        assert await socket.receive_str(timeout=PATIENCE) == "old before"
        await world.control.switch(settings, Slot.BLUE)
        await socket.send_str("after")
        assert await socket.receive_str(timeout=PATIENCE) == "old after"


async def test_what_is_replaced_and_does_not_run_is_a_plain_502(world: World) -> None:
    settings = Before(Backend("gone", world.ports["green"]), world).settings("site")
    await world.control.open([settings])
    reply = await ask(world.site)
    assert (reply.status, "Not available" in reply.body) == (502, True)


async def test_an_app_that_replaces_nothing_any_more_stays_where_it_is(
    world: World, slots: dict[str, Backend], before: Before
) -> None:
    settings = before.settings("site")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    async with Load(world.site).running() as load:
        await load.until(50)
        await world.control.publish([world.settings()])
        await eventually(lambda: "blue 5" in load.answers, "blue answers")
    assert set(load.answers) == {"blue 5"}
    assert (await ask(world.site)).body == "blue 0"


@pytest.mark.parametrize("mode", MODES)
async def test_nginx_looks_at_the_slots_before_it_looks_at_closed(world: World, mode: str) -> None:
    """Else the first switch, passing between two looks, would be taken for an app that is stopped:
    an instant too short for a load to meet it."""
    settings = Before(Backend("old", world.ports["green"] + 1), world).settings(mode)
    texts = Templates(world.layout, await installed_build()).app(
        settings, Traffic(active=None, closed=True)
    )
    (rendered,) = [text for text in texts.files.values() if "@bluegreen_replaced" in text]
    looks = rendered[rendered.index("location @bluegreen_replaced") :]
    markers = world.layout.nginx_markers("shop")
    places = [looks.index(f"-f {markers / name})") for name in ("blue", "green", "special/closed")]
    assert places == sorted(places)
