"""Files of the slot that does not serve, through a real nginx, whatever the host has set in it."""

from __future__ import annotations

import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.model import Slot
from bluegreen.slots.assets import Assets
from bluegreen.traffic.rendering import error_log
from tests.slots.sources import Runner
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World
from tests.traffic.test_switch import prepare
from tests.traffic.test_telling import Ear, ear

__all__ = ["ear"]  # a fixture

WAYS = [("site", "marker"), ("site", "reload"), ("snippet", "marker")]
HOSTS = """
disable_symlinks on;
open_file_cache max=100;
open_file_cache_errors on;
gzip on;
gzip_min_length 1;
gzip_types text/javascript;
"""


async def with_assets(world: World, mode: str, switch: str) -> AppSettings:
    """Each slot has a file of its own and one as the other has, and blue serves."""
    settings = prepare(world, mode, switch)
    root, *others = settings.routes
    routes = (root.model_copy(update={"assets": "dist"}), *others)
    settings = settings.model_copy(update={"routes": routes})
    layout = world.layout.app("shop")
    assets = Assets(settings, layout, Runner())
    for slot in Slot:
        tree = layout.trees / f"1-{slot}"
        (tree / "dist").mkdir(parents=True)
        for name in (f"{slot}.js", "both.js"):
            (tree / "dist" / name).write_text(f"kept of {slot}")
        await assets.keep(tree)
        assets.place(slot, tree)
    world.administrator_writes(HOSTS, "all.conf")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    return settings


@pytest.mark.parametrize(("mode", "switch"), WAYS)
async def test_the_other_slot_s_files_are_there_at_every_turn_and_no_request_of_the_watch(
    world: World, slots: dict[str, Backend], ear: Ear, mode: str, switch: str
) -> None:
    settings = await with_assets(world, mode, switch)
    told = 0
    for serving in (Slot.BLUE, Slot.GREEN, Slot.BLUE):
        await world.control.switch(settings, serving)
        for watched in (True, False):
            await world.control.tell_of_requests("shop", watched)
            other = await ask(world.site, f"/{serving.other}.js")
            assert (other.status, other.body) == (200, f"kept of {serving.other}")
            assert other.headers["content-type"] == "text/javascript"
            for path in (f"/{serving}.js", "/both.js", "/none.js", "/"):
                assert (await ask(world.site, path)).body == f"{serving} 0", path
            told += 4 * watched
            posted = await ask(world.site, f"/{serving.other}.js", method="POST", body=b"hello")
            assert posted.body == f"{serving} 5"
            told += watched
    assert len(await ear.heard(told)) == told
    zipped = await ask(world.site, "/green.js", method="HEAD", headers={"Accept-Encoding": "gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    known = {"If-None-Match": (await ask(world.site, "/green.js")).headers["etag"]}
    assert (await ask(world.site, "/green.js", headers=known)).status == 304
    assert "[crit]" not in error_log(world.layout).read_text()
    await world.control.set_closed(settings, True)
    assert (await ask(world.site, "/green.js")).status == 503
