"""Requests held at a real nginx, and let through by the gate."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Callable

import aiohttp
import pytest

from bluegreen.errors import RefusedError, TrafficError, UsageError
from bluegreen.model import Slot
from tests.traffic.backends import Backend, raw_backend
from tests.traffic.client import Load, ask
from tests.traffic.conftest import World
from tests.traffic.held import (
    HOLDABLE,
    LONG,
    WAITING,
    bodies,
    hold,
    opened,
    send,
    until_waiting,
    waiting,
)
from tests.traffic.test_switch import prepare
from tests.waiting import eventually


@pytest.mark.parametrize("mode", HOLDABLE)
async def test_posts_of_kept_connections_wait_and_go_to_the_slot_switched_to_meanwhile(
    world: World, slots: dict[str, Backend], mode: str
) -> None:
    settings = await opened(world, mode)
    async with Load(world.site).running(WAITING) as load:
        for to in (Slot.GREEN, Slot.BLUE) * 3:
            await load.until(50)
            await hold(world, settings)
            await until_waiting(world, WAITING)
            answered = len(load.answers)
            await world.control.switch(settings, to)
            assert await waiting(world) == WAITING
            assert len(load.answers) == answered
            await world.release(settings)
            await load.until(WAITING)
            assert load.answers[answered] == f"{to} 5"
    assert load.failures == []
    # Each was answered once, and none was sent twice.
    assert sum(backend.posts for backend in slots.values()) == len(load.answers)


@pytest.mark.parametrize("mode", HOLDABLE)
async def test_requests_of_every_kind_arrive_whole(
    world: World, slots: dict[str, Backend], mode: str
) -> None:
    settings = await opened(world, mode)
    base = f"http://127.0.0.1:{world.site}"
    size = 12 * 2**20

    async def chunks() -> object:
        for _ in range(64):
            yield b"c" * 4096

    async def echo(session: aiohttp.ClientSession) -> str:
        async with session.ws_connect(f"{base}/ws/echo") as socket:
            await socket.send_str("hello")
            return str(await socket.receive_str())

    async def said(answer: Awaitable[aiohttp.ClientResponse]) -> str:
        async with await answer as response:
            assert response.status == 200
            return await response.text()

    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{base}/ws/echo") as before,
    ):
        await hold(world, settings)
        await before.send_str("still here")
        assert await before.receive_str() == "blue still here"
        requests: list[Callable[[], Awaitable[str]]] = [
            lambda: said(session.get(base)),
            lambda: said(session.head(base)),
            lambda: said(session.post(base, data=io.BytesIO(b"x" * 2**20))),
            lambda: said(session.put(base, data=io.BytesIO(b"x" * size))),
            lambda: said(session.post(base, data=chunks())),
            lambda: said(session.post(base, data=io.BytesIO(b"y" * size), expect100=True)),
            lambda: echo(session),
        ]
        sent = [asyncio.ensure_future(request()) for request in requests]
        await until_waiting(world, len(sent))
        await world.control.switch(settings, Slot.GREEN)
        await world.release(settings)
        assert await asyncio.gather(*sent) == [
            "green 0", "", f"green {2**20}", f"green {size}", f"green {64 * 4096}",
            f"green {size}", "green hello",
        ]  # fmt: skip
        await before.send_str("still here")
        assert await before.receive_str() == "blue still here"


async def test_a_download_under_way_goes_on_while_others_wait(world: World) -> None:
    go_on = asyncio.Event()

    async def slowly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 100000)
        await writer.drain()
        await go_on.wait()
        writer.write(b"b" * 100000)
        await writer.drain()

    async with raw_backend(world.ports["blue"], slowly), aiohttp.ClientSession() as session:
        settings = await opened(world)
        async with session.get(f"http://127.0.0.1:{world.site}/") as download:
            await download.content.readexactly(50000)
            await hold(world, settings)
            go_on.set()
            assert len(await download.read()) == 150000
        await world.release(settings)


async def test_what_is_too_large_is_refused_at_once_also_while_others_wait(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings(max_body="1MiB")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    await hold(world, settings)
    assert (await ask(world.site, method="POST", body=b"x" * (2**20 + 1))).status == 413


async def test_at_its_end_the_gate_lets_through_by_itself_to_the_slot_that_the_marker_names(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings, 0.3, ways=(Slot.GREEN,))
    assert await bodies(send(world)) == {"blue 5"}
    # Nobody has removed the marker, and whoever comes now does not wait.
    assert world.markers == {"blue", "hold"}
    assert await bodies(send(world)) == {"blue 5"}


async def test_at_its_end_a_slot_that_may_serve_does_where_the_other_one_does_not(
    world: World,
) -> None:
    async with Backend("green", world.ports["green"]).serving():
        settings = await opened(world)
        await hold(world, settings, 0.3, ways=(Slot.GREEN,))
        assert await bodies(send(world)) == {"green 5"}


async def test_at_its_end_no_slot_serves_that_may_not(world: World) -> None:
    async with Backend("green", world.ports["green"]).serving():
        settings = await opened(world)
        await hold(world, settings, 0.3)
        replies = await asyncio.gather(*send(world))
    assert {reply.status for reply in replies} == {503}
    assert {reply.headers["retry-after"] for reply in replies} == {"10"}
    assert "Please try again soon" in replies[0].body


async def test_an_app_that_is_closed_while_it_is_held_answers_503(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    sent = send(world)
    await until_waiting(world, WAITING)
    await world.control.set_closed(settings, True)
    await world.release(settings)
    assert {reply.status for reply in await asyncio.gather(*sent)} == {503}


async def test_another_hold_of_the_same_requests_only_changes_its_end(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    await world.release(settings)  # the gate runs by now: that takes its time on a busy host
    await hold(world, settings, 2.0)
    first = world.control.read("shop").held
    sent = send(world)
    await hold(world, settings, LONG)
    second = world.control.read("shop").held
    assert first is not None
    assert second is not None
    assert second.since == first.since
    assert second.until > first.until
    await until_waiting(world, WAITING)
    over = first.until + 0.1
    await eventually(lambda: time.time() > over, "the first end has come, and somebody has looked")
    assert await waiting(world) == WAITING
    await world.release(settings)
    assert await bodies(sent) == {"blue 5"}


async def test_what_cannot_be_held_is_refused_with_the_reason(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = world.settings()
    await world.control.open([settings])
    with pytest.raises(RefusedError, match="never been deployed"):
        await hold(world, settings)
    await world.control.switch(settings, Slot.BLUE)
    with pytest.raises(RefusedError, match="are not held"):
        await world.release(settings)
    for seconds in (-1.0, 3601.0):
        with pytest.raises(UsageError, match="until then") as caught:
            await hold(world, settings, seconds)
        assert "60 minutes" in caught.value.remedy
    await world.control.set_closed(settings, True)
    with pytest.raises(RefusedError, match="out of service"):
        await hold(world, settings)
    assert world.markers == {"blue", "closed"}


@pytest.mark.parametrize(("mode", "switch"), [("upstream", "marker"), ("site", "reload")])
async def test_an_app_whose_nginx_cannot_hold_is_refused(
    world: World, slots: dict[str, Backend], mode: str, switch: str
) -> None:
    settings = prepare(world, mode, switch)
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    with pytest.raises(RefusedError, match="cannot be held") as caught:
        await hold(world, settings)
    assert "[nginx]" in caught.value.remedy
    assert world.markers == {"blue"}


async def test_without_nginx_nothing_is_held(world: World, slots: dict[str, Backend]) -> None:
    settings = await opened(world)
    world.end_nginx()
    with pytest.raises(TrafficError, match="nginx does not answer"):
        await hold(world, settings)
    assert world.markers == {"blue"}


async def test_a_hold_that_nginx_does_not_confirm_is_undone(
    world: World, slots: dict[str, Backend], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = await opened(world)
    monkeypatch.setattr("bluegreen.traffic.holding.CONFIRMED_WITHIN", 0.05)
    monkeypatch.setattr("bluegreen.traffic.markers.HOLD", "nginx-knows-another-name")
    with pytest.raises(TrafficError, match="did not confirm"):
        await hold(world, settings)
    assert world.markers == {"blue"}


@pytest.mark.parametrize("asks", ["satisfy any; deny all;", "satisfy all;"])
async def test_what_an_administrator_asks_of_visitors_is_asked_of_those_who_waited_too(
    world: World, slots: dict[str, Backend], asks: str
) -> None:
    passwords = world.layout.config / "passwords"
    passwords.parent.mkdir(parents=True, exist_ok=True)
    passwords.write_text("alice:{PLAIN}secret\n")
    snippet = world.layout.nginx / "snippets" / "shop.server.conf"
    world.administrator_writes(
        f"server {{ listen 127.0.0.1:{world.site}; {asks} auth_basic staff;"
        f" auth_basic_user_file {passwords}; auth_request /known;"
        " error_page 500 502 =200 /sorry;"
        " location = /known { internal; auth_basic off; allow all;"
        ' if ($http_x_known = "") { return 403; } return 204; }'
        f" location = /sorry {{ return 200; }} include {snippet}; }}"
    )
    settings = world.settings(mode="snippet")
    await world.control.open([settings])
    await world.control.switch(settings, Slot.BLUE)
    visitors: list[dict[str, str | None]] = [
        {},
        {"X-Known": "yes"},
        {"Authorization": "Basic YWxpY2U6c2VjcmV0"},
        {"Authorization": "Basic YWxpY2U6c2VjcmV0", "X-Known": "yes"},
    ]

    async def visit() -> list[int]:
        replies = await asyncio.gather(*(ask(world.site, headers=each) for each in visitors))
        return [reply.status for reply in replies]

    without = await visit()
    assert without[0] in (401, 403)
    assert without[3] == 200
    await hold(world, settings)
    held = asyncio.create_task(visit(), name="visitors")
    await until_waiting(world, len(visitors))
    await world.release(settings)
    assert await held == without
