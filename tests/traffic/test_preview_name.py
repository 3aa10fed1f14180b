"""The idle slot seen through a real nginx under a name of its own, beside the site's name."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

import aiohttp
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.model import Slot
from tests.traffic.backends import Backend, raw_backend
from tests.traffic.client import Reply, ask
from tests.traffic.conftest import World
from tests.traffic.held import bodies, hold, send, until_waiting
from tests.traffic.test_preview import STRANGER, WAYS, issue

NAME = "next.example.org"
HERE = "127.0.0.0/8"


def prepare(
    world: World, mode: str = "site", allow: Iterable[str] = (), **nginx: str
) -> AppSettings:
    """The app's settings, and the administrator's two servers in mode snippet."""
    snippets = world.layout.nginx / "snippets"
    if mode == "snippet":
        parts = {"server": "shop.test", "preview": NAME}
        world.administrator_writes(
            "\n".join(
                f"server {{ listen 127.0.0.1:{world.site}; server_name {name};"
                f" include {snippets}/shop.{part}.conf; }}"
                for part, name in parts.items()
            )
        )
    names: dict[str, Any] = {"server_name": ["shop.test"]} if mode == "site" else {}
    preview = {"server_name": [NAME], "allow": list(allow)}
    return world.settings(mode=mode, preview=preview, **names, **nginx)


async def see(
    world: World, path: str = "/", *, key: str = "", headers: Mapping[str, str] | None = None
) -> Reply:
    shown = {"X-Bluegreen-Preview": key} | dict(headers or {})
    return await ask(world.site, path, headers={"Host": NAME, **shown})


async def opened(world: World, settings: AppSettings) -> None:
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)


def shows(reply: Reply) -> tuple[int, str, str | None, str | None]:
    headers = reply.headers
    return reply.status, reply.body, headers.get("x-bluegreen-slot"), headers.get("cache-control")


BLUE, GREEN = ((200, f"{slot} 0", slot, "no-store") for slot in ("blue", "green"))


@pytest.mark.parametrize("mode", ["site", "snippet"])
async def test_a_key_shows_the_slot_that_does_not_serve_and_nobody_else_sees_any(
    world: World, slots: dict[str, Backend], mode: str
) -> None:
    settings = prepare(world, mode)
    await opened(world, settings)
    key = issue(world).key
    assert shows(await see(world, key=key)) == GREEN
    link = await see(world, f"/.bluegreen/shop/preview/{key}")
    cookie = link.headers["set-cookie"].partition(";")[0]
    assert shows(await see(world, headers={"Cookie": cookie})) == GREEN
    for shown in ("", STRANGER, "x"):
        refused = await see(world, key=shown)
        assert (refused.status, refused.headers["cache-control"]) == (403, "no-store")
        assert "shown by a link with a key" in refused.body
    # The site's own name, and one that nobody has, are the site as ever.
    for host in ("shop.test", "stranger.test"):
        live = await ask(world.site, headers={"Host": host})
        assert (live.body, "x-bluegreen-slot" in live.headers) == ("blue 0", False)
    await world.control.switch(settings, Slot.GREEN)
    assert (await see(world, key=key)).status == 403  # of the slot that serves now
    assert shows(await see(world, key=issue(world, Slot.BLUE).key)) == BLUE
    assert (await ask(world.site)).body == "green 0"


@pytest.mark.parametrize(("mode", "switch"), WAYS)
async def test_who_is_allowed_needs_no_key_and_sees_the_other_slot_after_each_switch(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    settings = prepare(world, mode, ["10.0.0.0/8", "::1", HERE], switch=switch)
    await world.control.open([settings])
    assert shows(await see(world)) == BLUE  # where the first release of all goes
    for serves, seen in ((Slot.BLUE, GREEN), (Slot.GREEN, BLUE), (Slot.BLUE, GREEN)):
        await world.control.switch(settings, serves)
        assert shows(await see(world)) == seen
        assert (await ask(world.site)).body == f"{serves} 0"
    # Behind a proxy that is allowed, anybody might be.
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded"):
        assert (await see(world, headers={header: "203.0.113.9"})).status == 403
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://127.0.0.1:{world.site}/ws/echo", headers={"Host": NAME}) as ws,
    ):
        await ws.send_str("hello")
        assert await ws.receive_str() == "green hello"
    await world.control.set_closed(settings, True)
    assert shows(await see(world)) == GREEN
    assert (await ask(world.site)).status == 503


async def test_who_is_not_among_the_allowed_shows_a_key(
    world: World, slots: dict[str, Backend]
) -> None:
    await opened(world, prepare(world, allow=["10.0.0.0/8", "::1"]))
    assert (await see(world)).status == 403
    assert shows(await see(world, key=issue(world).key)) == GREEN


async def test_a_hold_is_passed_by_a_key_and_by_no_address(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = prepare(world, allow=[HERE])
    await opened(world, settings)
    key, other = issue(world).key, issue(world, Slot.BLUE).key
    await hold(world, settings)
    sent = send(world)
    await until_waiting(world, len(sent))
    assert shows(await see(world, key=key)) == GREEN
    for shown in ("", other):  # a key of the slot that may be stopped now is none
        kept_out = await see(world, key=shown)
        assert (kept_out.status, kept_out.headers["retry-after"]) == (503, "10")
    await world.control.switch(settings, Slot.GREEN)
    assert (await see(world, key=key)).status == 503
    await world.release(settings)
    assert await bodies(sent) == {"green 5"}
    assert shows(await see(world)) == BLUE


async def test_where_nothing_runs_it_says_so_and_what_is_cut_off_is_something_else(
    world: World,
) -> None:
    settings = prepare(world, allow=[HERE])
    async with Backend("blue", world.ports["blue"]).serving():
        await opened(world, settings)
        for method in ("GET", "POST"):
            reply = await ask(world.site, headers={"Host": NAME}, method=method, body=b"x" * 9)
            assert (reply.status, reply.headers["cache-control"]) == (503, "no-store")
            assert "No release to preview" in reply.body
        async with raw_backend(world.ports["green"], _hangs_up):
            reply = await see(world)
        assert (reply.status, "Please try again soon" in reply.body) == (502, True)
        assert (await ask(world.site)).body == "blue 0"


async def _hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
