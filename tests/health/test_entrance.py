"""What is asked through nginx, and which answers count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from bluegreen.config.questions import Probe
from bluegreen.config.settings import Route
from bluegreen.health.attempt import probe_once
from bluegreen.health.entrance import Entrance
from bluegreen.model import Address, ProbeResult
from tests.health.conftest import Serve
from tests.health.slot import FakeSlot

KEY = "3f0c8d1be5a94b6fa2c7d0e81b94a6d5"
ROUTES = (
    Route(path="/", service="web"),
    Route(path="/api/", service="api"),
    Route(path="/api/live/", service="stream", websocket=True),
    Route(path="/api/old/", service="api"),
)
VALUES = {"version": "v2"}


def entrance(address: Address, service: str = "api") -> Entrance:
    return Entrance(
        address=address,
        headers={"X-Key": KEY, "Host": "shop.test"},
        secret=KEY,
        proof=("X-Slot", "green"),
        routes=(Route(path="/", service=service, websocket=True),),
    )


def http(path: str, service: str = "api", **more: Any) -> Probe:
    return Probe.model_validate({"service": service, "http": {"path": path, **more}})


def websocket(path: str, service: str = "api") -> Probe:
    return Probe.model_validate({"service": service, "websocket": {"path": path, "expect": "hi"}})


@pytest.mark.parametrize(
    ("probe", "leads"),
    [
        (http("/api/health"), True),
        (http("/api/%6Cive/x", "stream"), True),
        (http("/api/live/x"), False),
        (http("/health"), False),
        (http("/health", "web"), True),
        (http("/api/old/{version}?to=/x"), True),
        (http("/?next=/api/", "web"), True),
        (websocket("/api/live/", "stream"), True),
        (websocket("/api/old/"), False),
        (Probe.model_validate({"service": "web", "tcp": {}}), False),
    ],
)
def test_what_nginx_sends_to_the_service_is_asked_there(probe: Probe, leads: bool) -> None:
    found = replace(entrance(Address(port=1)), routes=ROUTES)
    assert found.leads_to(probe, VALUES) is leads
    assert not replace(found, routes=()).leads_to(probe, VALUES)


async def ask(slot: FakeSlot, address: Address, probe: Probe) -> ProbeResult:
    slot.addresses["api"] = Address(port=1)  # where nobody is asked
    return await probe_once(replace(slot.target, entrance=entrance(address)), probe)


@pytest.mark.parametrize("came_from", ["green", "blue", None])
async def test_an_answer_counts_that_says_that_it_came_from_the_slot(
    slot: FakeSlot, serve: Serve, came_from: str | None
) -> None:
    seen: list[tuple[str | None, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers.get("X-Key"), request.host))
        headers = {} if came_from is None else {"X-Slot": came_from}
        if request.path == "/ws":
            socket = web.WebSocketResponse()
            socket.headers.update(headers)
            await socket.prepare(request)
            await socket.send_str("hi")
            assert (await socket.receive()).type is WSMsgType.CLOSE
            return socket
        return web.Response(headers=headers)

    address = await serve(answer)
    for probe in (http("/"), websocket("/ws")):
        result = await ask(slot, address, probe)
        assert result.passed is (came_from == "green"), result.answer
        assert result.passed or "something else answered" in result.answer
    assert seen == [(KEY, "shop.test")] * 2


async def test_the_key_is_not_repeated(slot: FakeSlot, serve: Serve) -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(status=500, text=f"what is {request.headers['X-Key']}?")

    address = await serve(echo)
    result = await ask(slot, address, http("/"))
    assert "what is ***?" in result.answer
    assert KEY not in repr(entrance(address))


async def test_an_nginx_that_is_not_reached_is_an_answer_in_words(slot: FakeSlot) -> None:
    result = await ask(slot, Address(port=1), http("/"))
    assert (result.passed, result.answer) == (False, "connection refused")
