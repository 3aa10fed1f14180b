"""Smoke scenarios against a service of this process."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp import web

from bluegreen.config.questions import SmokeStep
from bluegreen.errors import GateError
from bluegreen.health.smoke import pass_smoke
from tests.health.conftest import Serve
from tests.health.slot import FakeSlot

TOKEN = "tok-0123456789"
LOGIN = {
    "path": "/login", "method": "POST",
    "send_json": {"user": "smoke {slot}", "tags": ["{version}"]},
    "capture": {"token": "session.token"},
}  # fmt: skip
CALL = {"path": "/me", "request_headers": {"Authorization": "Bearer {captured.token}"}}


def steps(*requests: dict[str, Any]) -> list[SmokeStep]:
    return [SmokeStep.model_validate({"service": "api", "http": each}) for each in requests]


class Site:
    """Gives out a token, and wants it back."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.logins: list[Any] = []

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append((request.method, request.path))
        if request.path == "/login":
            self.logins.append(await request.json())
            return web.json_response({"session": {"token": TOKEN, "admin": True}})
        if request.headers.get("Authorization") == f"Bearer {TOKEN}":
            return web.json_response({"name": "smoke", "seen": TOKEN})
        return web.json_response({"error": f"{TOKEN} is wanted"}, status=401)


@pytest.fixture
async def site(slot: FakeSlot, serve: Serve) -> Site:
    made = Site()
    slot.addresses["api"] = await serve(made.answer)
    return made


async def run(slot: FakeSlot, scenario: list[SmokeStep]) -> None:
    await pass_smoke(slot.target, scenario, on_result=slot.results.append)


async def test_a_later_step_uses_what_an_earlier_one_was_answered(
    slot: FakeSlot, site: Site
) -> None:
    await run(slot, steps(LOGIN, CALL))
    assert site.asked == [("POST", "/login"), ("GET", "/me")]
    assert site.logins == [{"user": "smoke green", "tags": ["v2"]}]
    assert [result.probe for result in slot.results] == ["smoke POST /login", "smoke http /me"]


async def test_what_was_captured_is_never_repeated(slot: FakeSlot, site: Site) -> None:
    await run(slot, steps(LOGIN, CALL))
    with pytest.raises(GateError) as caught:
        await run(slot, steps(LOGIN, {"path": "/other"}))
    said = [result.answer for result in slot.results] + caught.value.lines()
    assert TOKEN not in "\n".join(said)
    assert any("***" in line for line in said)


async def test_the_first_step_that_fails_ends_the_scenario_and_is_named(
    slot: FakeSlot, site: Site
) -> None:
    with pytest.raises(GateError, match="step 2 of 3 of the smoke scenario failed: api smoke") as c:
        await run(slot, steps(LOGIN, {"path": "/me"}, CALL))
    assert "HTTP 401" in c.value.message
    assert c.value.remedy.startswith("Nothing was switched.")
    assert any(line.startswith("api | ") for line in c.value.detail)
    assert len(site.asked) == 2


@pytest.mark.parametrize(
    ("path", "said"),
    [("session.tokens", "session.tokens is no text"), ("session.admin", "session.admin is no t")],
)
async def test_a_field_that_cannot_be_captured_fails_the_step(
    slot: FakeSlot, site: Site, path: str, said: str
) -> None:
    with pytest.raises(GateError, match=said):
        await run(slot, steps({**LOGIN, "capture": {"token": path}}))


async def test_an_answer_that_is_no_json_cannot_be_captured_from(
    slot: FakeSlot, serve: Serve
) -> None:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>")

    slot.addresses["api"] = await serve(page)
    with pytest.raises(GateError, match="not JSON"):
        await run(slot, steps(LOGIN))


async def test_a_text_is_sent_as_it_is_written(slot: FakeSlot, serve: Serve) -> None:
    came: list[tuple[str, str]] = []

    async def keep(request: web.Request) -> web.Response:
        came.append((request.method, await request.text()))
        return web.Response()

    slot.addresses["api"] = await serve(keep)
    await run(slot, steps({"path": "/", "method": "PUT", "send": "{{a}} {slot}"}))
    assert came == [("PUT", "{a} green")]


async def test_a_step_may_be_a_command_of_the_release(slot: FakeSlot) -> None:
    step = SmokeStep.model_validate({"service": "api", "command": {"run": "false"}})
    with pytest.raises(GateError, match="api smoke command: exit status 1"):
        await run(slot, [step])


async def test_steps_of_a_service_that_the_release_lacks_are_left_out(slot: FakeSlot) -> None:
    step = SmokeStep.model_validate({"service": "other", "command": {"run": "false"}})
    await run(slot, [step])
    assert slot.results == []
