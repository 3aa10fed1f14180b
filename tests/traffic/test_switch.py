"""Switches through a real nginx, in every mode and both ways to switch."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import aiohttp
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.errors import TrafficError
from bluegreen.model import Slot, Traffic
from bluegreen.traffic import plan, published
from bluegreen.traffic.control import TrafficControl
from bluegreen.traffic.markers import Markers
from tests.traffic.backends import Backend
from tests.traffic.client import Load, ask
from tests.traffic.conftest import World
from tests.waiting import PATIENCE, eventually

MODES = ["site", "snippet", "upstream"]
SWITCHES = ["marker", "reload"]


def prepare(world: World, mode: str, switch: str) -> AppSettings:
    """The app's settings, and the administrator's own server where the mode needs one."""
    head = f"server {{ listen 127.0.0.1:{world.site}; "
    if mode == "snippet":
        snippet = world.layout.nginx / "snippets" / "shop.server.conf"
        world.administrator_writes(f"{head} include {snippet}; }}")
    if mode == "upstream":
        world.administrator_writes(
            head + "location / { proxy_pass http://shop_web; proxy_http_version 1.1;"
            " proxy_set_header Host $http_host; proxy_set_header Upgrade $http_upgrade;"
            " proxy_set_header Connection $bluegreen_connection_keep; } }"
        )
    return world.settings(mode=mode, switch=switch)


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("mode", MODES)
async def test_traffic_opens_moves_closes_and_moves_back(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    settings = prepare(world, mode, switch)
    await world.control.open([settings])
    assert world.control.read("shop") == Traffic(active=None, closed=True)
    assert (await ask(world.site)).status == 503

    for slot in (Slot.GREEN, Slot.BLUE, Slot.GREEN, Slot.GREEN):
        await world.control.switch(settings, slot)
        assert world.control.read("shop") == Traffic(active=slot, closed=False)
        assert world.markers == {slot.value}
        assert (await ask(world.site)).body == f"{slot} 0"

    await world.control.set_closed(settings, True)
    assert world.markers == {"green", "closed"}
    closed = await ask(world.site)
    assert closed.status == 503
    assert closed.headers["retry-after"] == "10"
    await world.control.switch(settings, Slot.BLUE)
    assert world.control.read("shop") == Traffic(active=Slot.BLUE, closed=True)
    await world.control.set_closed(settings, False)
    assert (await ask(world.site)).body == "blue 0"


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("mode", MODES)
async def test_a_websocket_passes_and_outlives_a_switch(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    settings = prepare(world, mode, switch)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{world.site}/ws/echo") as socket,
    ):
        await socket.send_str("before")
        assert await socket.receive_str(timeout=PATIENCE) == "blue before"
        await world.control.switch(settings, Slot.GREEN)
        await socket.send_str("after")
        assert await socket.receive_str(timeout=PATIENCE) == "blue after"


@pytest.mark.parametrize("mode", MODES)
async def test_switches_by_marker_lose_no_keep_alive_post(
    world: World, slots: dict[str, Backend], mode: str
) -> None:
    settings = prepare(world, mode, "marker")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    async with Load(world.site).running() as load:
        for slot in [Slot.GREEN, Slot.BLUE] * 5:
            await load.until(50)
            await world.control.switch(settings, slot)
        await load.until(50)
    assert load.failures == []
    assert set(load.answers) == {"blue 5", "green 5"}
    # Each was answered once, and none was sent twice.
    assert sum(backend.posts for backend in slots.values()) == len(load.answers)


async def test_after_a_switch_by_reload_no_old_worker_accepts(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(switch="reload")
    await world.control.open([settings])
    for slot in (Slot.BLUE, Slot.GREEN, Slot.BLUE):
        await world.control.switch(settings, slot)
        answers = await asyncio.gather(*(ask(world.site) for _ in range(50)))
        assert {answer.body for answer in answers} == {f"{slot} 0"}


async def test_a_switch_by_marker_reloads_nothing(world: World, slots: dict[str, Backend]) -> None:
    settings = world.settings()
    await world.control.open([settings])
    workers = {process.pid for process in world.nginx_processes()}
    await world.control.switch(settings, Slot.BLUE)
    await world.control.switch(settings, Slot.GREEN)
    await world.control.publish([settings])
    assert {process.pid for process in world.nginx_processes()} == workers


async def test_nginx_down_refuses_a_switch_and_the_marker_stays(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    world.end_nginx()
    with pytest.raises(TrafficError, match="nginx does not answer"):
        await world.control.switch(settings, Slot.GREEN)
    assert world.markers == {"blue"}


async def test_out_of_service_in_any_case_means_without_nginx_too(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    world.end_nginx()
    with pytest.raises(TrafficError, match="nginx does not answer"):
        await world.control.set_closed(settings, True)
    assert world.markers == {"blue"}
    with pytest.raises(TrafficError, match="nginx does not answer"):
        await world.control.set_closed(settings, True, in_any_case=True)
    assert world.markers == {"blue", "closed"}
    await world.control.revive()
    assert (await ask(world.site)).status == 503


async def test_an_unconfirmed_switch_puts_the_marker_back(
    world: World, slots: dict[str, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.traffic.moving.MARKER_TIMEOUT", 0.05)
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    slot_file = world.layout.nginx / "slots" / "shop.conf"
    await eventually(lambda: "# active: blue" in slot_file.read_text(), "the switch is remembered")
    before = slot_file.read_text()
    # nginx goes on looking into the directory that it was told of, and it is not this one.
    elsewhere = TrafficControl(world.layout, own_nginx=True)
    monkeypatch.setattr(
        plan.Planner,
        "markers",
        lambda self, app: Markers(world.layout.state / "elsewhere" / app),
    )
    (world.layout.state / "elsewhere/shop").mkdir(parents=True)
    (world.layout.state / "elsewhere/shop/blue").touch()
    await elsewhere.open([settings])
    with pytest.raises(TrafficError, match="did not confirm") as caught:
        await elsewhere.switch(settings, Slot.GREEN)
    assert any("blue" in line for line in caught.value.detail)
    assert [path.name for path in (world.layout.state / "elsewhere/shop").iterdir()] == ["blue"]
    assert slot_file.read_text() == before


async def test_a_full_disk_does_not_hinder_a_switch_back(
    world: World,
    slots: dict[str, Backend],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)

    def full(path: Path, text: str, *, durable: bool, sync_parent: bool) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(published, "write_atomically", full)
    await world.control.switch(settings, Slot.GREEN)
    assert world.markers == {"green"}
    assert (await ask(world.site)).body == "green 0"
    await eventually(lambda: "No space left" in caplog.text, "what was not written is told of")


async def test_what_repeats_the_marker_follows_it(world: World, slots: dict[str, Backend]) -> None:
    settings = world.settings()
    await world.control.open([settings])
    slot_file = world.layout.nginx / "slots" / "shop.conf"
    for slot in (Slot.BLUE, Slot.GREEN, Slot.BLUE, Slot.GREEN):
        await world.control.switch(settings, slot)
    await eventually(lambda: "# active: green" in slot_file.read_text(), "the last switch is kept")
    await world.control.switch(settings, Slot.BLUE)
    await world.control.close(stop_nginx=False)
    assert "# active: blue" in slot_file.read_text()


async def test_a_cancelled_switch_is_done_or_undone_as_a_whole(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(switch="reload")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    switching = asyncio.create_task(world.control.switch(settings, Slot.GREEN), name="switch")
    await eventually(lambda: world.markers == {"green"}, "green is the only marker")
    switching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await switching
    answers = await asyncio.gather(*(ask(world.site) for _ in range(20)))
    assert {answer.body for answer in answers} == {"green 0"}


async def test_opening_an_app_that_was_never_deployed_is_refused(world: World) -> None:
    settings = world.settings()
    await world.control.open([settings])
    with pytest.raises(TrafficError, match="never been deployed"):
        await world.control.set_closed(settings, False)
    assert world.markers == {"closed"}
