"""The idle slot seen through a real nginx by a key, beside visitors who see the one that serves."""

from __future__ import annotations

import asyncio
import json
import stat
import time

import aiohttp
import pytest

from bluegreen.config.settings import AppSettings
from bluegreen.model import Slot
from bluegreen.traffic.previews import Preview, Previews
from tests.traffic.backends import Backend
from tests.traffic.client import Reply, ask
from tests.traffic.conftest import World
from tests.traffic.held import bodies, hold, send, until_waiting
from tests.traffic.test_switch import prepare

WAYS = [("site", "marker"), ("site", "reload"), ("snippet", "marker")]
STRANGER = "0" * 32  # looks like a key


def previews(world: World) -> Previews:
    return Previews.of(world.layout.app("shop"))


def issue(world: World, slot: Slot = Slot.GREEN) -> Preview:
    return previews(world).issue(slot, until=time.time() + 60, by="a test")


async def opened(world: World, mode: str = "site", switch: str = "marker") -> AppSettings:
    settings = prepare(world, mode, switch)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    return settings


async def see(world: World, key: str, path: str = "/") -> Reply:
    return await ask(world.site, path, headers={"X-Bluegreen-Preview": key})


async def see_by_cookie(world: World, cookies: str, path: str = "/") -> Reply:
    return await ask(world.site, path, headers={"Cookie": cookies})


@pytest.mark.parametrize(("mode", "switch"), WAYS)
async def test_who_shows_a_key_sees_the_idle_slot_and_everybody_else_the_active_one(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    await opened(world, mode, switch)
    key = issue(world).key
    by_header, by_cookie = (
        await see(world, key),
        await see_by_cookie(world, f"bluegreen_preview={key}"),
    )
    for reply in (by_header, by_cookie):
        assert reply.body == "green 0"
        assert reply.headers["x-bluegreen-slot"] == "green"
        assert reply.headers["cache-control"] == "no-store"
    live = await ask(world.site)
    assert live.body == "blue 0"
    assert {"x-bluegreen-slot", "cache-control"}.isdisjoint(live.headers)
    posted = await ask(
        world.site, method="POST", body=b"hello", headers={"X-Bluegreen-Preview": key}
    )
    assert posted.body == "green 5"


@pytest.mark.parametrize(("mode", "switch"), WAYS)
async def test_what_is_no_key_or_none_any_more_sees_the_live_site(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    settings = await opened(world, mode, switch)
    key = issue(world)
    for shown in (STRANGER, "x", "../blue", key.key[:-1], key.key + "0", key.key.upper()):
        reply = await see(world, shown)
        assert reply.body == "blue 0"
        assert "x-bluegreen-slot" not in reply.headers
    previews(world).revoke(key)
    assert (await see(world, key.key)).body == "blue 0"
    posted = await ask(
        world.site, method="POST", body=b"hello", headers={"X-Bluegreen-Preview": key.key}
    )
    assert posted.body == "blue 5"
    await world.control.set_closed(settings, True)
    assert (await see(world, key.key)).status == 503


async def test_a_key_of_the_slot_that_serves_by_now_is_as_none(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    key = issue(world)
    await world.control.switch(settings, Slot.GREEN)
    reply = await see(world, key.key)
    assert reply.body == "green 0"
    assert "x-bluegreen-slot" not in reply.headers
    # It would come to the slot that a hold keeps requests from.
    await hold(world, settings)
    sent = asyncio.create_task(see(world, key.key), name="preview")
    await until_waiting(world, 1)
    await world.release(settings)
    assert (await sent).body == "green 0"


async def test_a_preview_passes_a_hold(world: World, slots: dict[str, Backend]) -> None:
    settings = await opened(world)
    key = issue(world)
    await hold(world, settings)
    sent = send(world)
    await until_waiting(world, len(sent))
    assert (await see(world, key.key)).body == "green 0"
    await world.release(settings)
    assert await bodies(sent) == {"blue 5"}


@pytest.mark.parametrize("deployed", [False, True])
async def test_a_closed_app_can_be_seen(
    world: World, slots: dict[str, Backend], deployed: bool
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    slot = Slot.BLUE  # where the first release of all goes
    if deployed:
        await world.control.switch(settings, Slot.GREEN)
        await world.control.set_closed(settings, True)
    assert (await see(world, issue(world, slot).key)).body == "blue 0"
    assert (await ask(world.site)).status == 503


async def test_a_websocket_reaches_the_idle_slot(world: World, slots: dict[str, Backend]) -> None:
    await opened(world)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(
            f"http://127.0.0.1:{world.site}/ws/echo",
            headers={"X-Bluegreen-Preview": issue(world).key},
        ) as socket,
    ):
        await socket.send_str("hello")
        assert await socket.receive_str() == "green hello"


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("a=1; ", "a=1"), ("a=1; my_bluegreen_preview=2; ", "a=1; my_bluegreen_preview=2")],
)
@pytest.mark.parametrize("behind", ["", "; b=2; c=3"])
@pytest.mark.parametrize("revoked", [False, True])
async def test_the_key_does_not_reach_the_app(
    world: World, slots: dict[str, Backend], before: str, after: str, behind: str, revoked: bool
) -> None:
    await opened(world)
    key = issue(world)
    if revoked:
        previews(world).revoke(key)
    cookies = f"{before}bluegreen_preview={key.key}{behind}"
    reply = await ask(
        world.site, "/headers", headers={"Cookie": cookies, "X-Bluegreen-Preview": key.key}
    )
    received = json.loads(reply.body)
    assert "x-bluegreen-preview" not in received
    # What is no key any more opens nothing: no visitor's cookies are looked through for it.
    expected = cookies if revoked else (after + behind).removeprefix("; ")
    assert received.get("cookie", "") == expected


async def test_the_link_sets_a_cookie_and_leads_to_the_site(
    world: World, slots: dict[str, Backend]
) -> None:
    await opened(world)
    key = issue(world).key
    link = f"/.bluegreen/shop/preview/{key}"
    reply = await ask(world.site, link)
    assert (reply.status, reply.headers["location"]) == (302, "/")
    assert reply.headers["referrer-policy"] == "no-referrer"
    cookie, *attributes = reply.headers["set-cookie"].split("; ")
    assert set(attributes) == {"Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Lax"}
    assert (await see_by_cookie(world, cookie)).body == "green 0"
    behind_tls = await ask(world.site, link, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in behind_tls.headers["set-cookie"].split("; ")


async def test_a_link_with_another_key_leads_nowhere(
    world: World, slots: dict[str, Backend]
) -> None:
    await opened(world)
    key = issue(world)
    previews(world).revoke(key)
    for shown in ("", key.key, STRANGER, "x", f"{key.key}/", f"../preview/{key.key}"):
        reply = await ask(world.site, f"/.bluegreen/shop/preview/{shown}")
        assert reply.status == 404
        assert "set-cookie" not in reply.headers


async def test_a_slot_that_does_not_run_is_no_page_of_nginx(world: World) -> None:
    async with Backend("blue", world.ports["blue"]).serving():
        await opened(world)
        reply = await see(world, issue(world).key)
    assert reply.status == 502
    assert "Please try again soon" in reply.body


async def test_the_key_is_in_no_file_of_nginx_and_its_directory_is_not_to_be_listed(
    world: World, slots: dict[str, Backend]
) -> None:
    await opened(world)
    key = issue(world)
    await see(world, key.key)
    await ask(world.site, f"/.bluegreen/shop/preview/{key.key}")
    written = (world.layout.nginx, world.layout.logs, world.layout.config)
    files = [path for place in written for path in place.rglob("*") if path.is_file()]
    assert len(files) > 3
    assert [path for path in files if key.key in path.read_text()] == []
    directory = world.layout.app("shop").previews
    assert stat.S_IMODE(directory.stat().st_mode) == 0o711
    assert stat.S_IMODE((directory / key.name).stat().st_mode) == 0o600
    assert key.key not in repr(key)


async def test_a_snippet_is_seen_through_a_socket_of_its_own_by_a_key_only(
    world: World, slots: dict[str, Backend]
) -> None:
    await opened(world, "snippet")
    socket = world.layout.app("shop").nginx_sockets / "preview.nginx.sock"

    async def visit(key: str, path: str = "/") -> tuple[int, str]:
        connector = aiohttp.UnixConnector(str(socket))
        async with (
            aiohttp.ClientSession(connector=connector) as session,
            session.get(f"http://shop.test{path}", headers={"X-Bluegreen-Preview": key}) as answer,
        ):
            return answer.status, await answer.text()

    key = issue(world).key
    assert await visit(key) == (200, "green 0")
    _, text = await visit(key, "/headers")
    received = json.loads(text)
    assert (received["x-real-ip"], received["x-forwarded-for"]) == ("127.0.0.1", "127.0.0.1")
    assert received["host"] == "shop.test"
    assert [(await visit(other))[0] for other in ("", STRANGER)] == [403, 403]
