"""Bodies that do not arrive, and more of them than there is memory for."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bluegreen.api import bodies
from bluegreen.api.handlers.webhooks import receive
from bluegreen.api.hook_body import ALL_BODIES, BODIES_OF_ONE, HookRoom, NoRoomError
from bluegreen.api.peer import Caller, note_caller
from bluegreen.api.problems import as_problems
from bluegreen.errors import UsageError


async def test_a_body_that_does_not_arrive_is_not_waited_for(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.1)

    async def handler(request: web.Request) -> web.Response:
        await bodies.read_body(request, bodies.Empty)
        return web.Response()

    application = web.Application(middlewares=[as_problems])
    application.router.add_post("/", handler)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(root / "api.sock")).start()
        reader, writer = await asyncio.open_unix_connection(str(root / "api.sock"))
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 400")
        assert b"had not arrived" in await asyncio.wait_for(reader.readuntil(b"}"), 20)
        writer.close()
    finally:
        await runner.cleanup()


def test_a_field_that_is_given_twice_is_refused_by_its_name() -> None:
    request: Any = SimpleNamespace(method="POST", path="/v1/apps/shop/switch")
    for raw, kind, name in (
        (b'{"to": "blue", "to": "green"}', bodies.SwitchBody, "to"),
        (b'{"version": "v1", "\\u0076ersion": "v1"}', bodies.DeployBody, "version"),
    ):
        with pytest.raises(UsageError) as caught:
            bodies.body_of(request, raw, kind)
        assert caught.value.http_status == 400
        assert list(caught.value.detail) == [f"{name}: it is given more than once"]
        assert f'"{name}"' in caught.value.remedy
    assert bodies.body_of(request, b"", bodies.Empty) == bodies.Empty()
    assert bodies.body_of(request, b'{"to": "blue"}', bodies.SwitchBody).to == "blue"


def test_deliveries_of_one_and_of_all_take_so_much_memory_and_give_it_back() -> None:
    room = HookRoom()
    with contextlib.ExitStack() as held:
        for number in range(ALL_BODIES // BODIES_OF_ONE):
            share = held.enter_context(room.share(f"192.0.2.{number}"))
            share.take(BODIES_OF_ONE)
            with pytest.raises(NoRoomError):
                share.take(1)
        for guest in (None, "198.51.100.1"):
            with pytest.raises(NoRoomError), room.share(guest) as share:
                share.take(1)
    with room.share("192.0.2.1") as share:
        share.take(BODIES_OF_ONE)


async def test_a_delivery_that_there_is_no_room_for_is_to_be_sent_again() -> None:
    room = HookRoom()
    api: Any = SimpleNamespace(
        hook_room=room, hooks=SimpleNamespace(has_rules=lambda app: app == "shop")
    )

    async def handler(request: web.Request) -> web.StreamResponse:
        note_caller(request, Caller(via="tcp from 192.0.2.1", guest="192.0.2.1"))
        return await receive(api, request)

    application = web.Application()
    application.router.add_post("/hooks/{app}", handler)
    with room.share("192.0.2.1") as share:
        share.take(BODIES_OF_ONE)
        async with (
            TestClient(TestServer(application)) as client,
            client.post("/hooks/shop", data=b"{}") as response,
        ):
            assert (response.status, int(response.headers["Retry-After"]) > 0) == (503, True)
            assert (await response.json(content_type=None))["kind"] == "overloaded"
