from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import web

from bluegreen.config.questions import Probe
from bluegreen.errors import UsageError
from bluegreen.health.attempt import probe_once
from bluegreen.model import ProbeResult
from tests.health.conftest import Accept, Serve
from tests.health.slot import FakeSlot


def http(*, timeout: str = "5s", **wanted: Any) -> Probe:
    return Probe.model_validate(
        {"service": "api", "timeout": timeout, "http": {"path": "/health", **wanted}}
    )


async def ask(slot: FakeSlot, serve: Serve, probe: Probe, response: web.Response) -> ProbeResult:
    async def handler(_: web.Request) -> web.Response:
        return response

    slot.addresses["api"] = await serve(handler)
    return await probe_once(slot.target, probe)


async def test_the_wanted_status_passes_and_the_answer_is_shown(
    slot: FakeSlot, serve: Serve
) -> None:
    result = await ask(slot, serve, http(), web.json_response({"status": "ok"}))
    assert (result.service, result.probe, result.passed) == ("api", "http /health", True)
    assert result.answer == '200 {"status": "ok"}'


async def test_another_status_does_not_pass(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, http(), web.Response(status=503))
    assert not result.passed
    assert result.answer == "HTTP 503: Service Unavailable"


async def test_one_of_several_statuses_passes(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, http(status=(200, 401)), web.Response(status=401))
    assert result.passed


async def test_a_redirect_is_its_status_and_is_not_followed(slot: FakeSlot, serve: Serve) -> None:
    asked: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    slot.addresses["api"] = await serve(handler)
    result = await probe_once(slot.target, http())
    assert not result.passed
    assert result.answer.startswith("HTTP 302, not 200")
    assert (await probe_once(slot.target, http(status=302))).passed
    assert asked == ["/health", "/health"]


async def test_a_rate_limit_is_named_as_what_it_is(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, http(), web.Response(status=429, text="slow down " * 50))
    assert not result.passed
    assert "rate limit: raise the probe's `interval`" in result.answer
    assert len(result.answer) <= 200


@pytest.mark.parametrize(
    ("wanted", "document"),
    [
        ({"status": "ok"}, {"status": "ok"}),
        ({"version": "{version}", "slot": "{slot}"}, {"version": "v2", "slot": "green"}),
        ({"checks.db": True}, {"checks": {"db": True}}),
        ({"items.1.n": 2}, {"items": [{"n": 1}, {"n": 2}]}),
        ({"n": 1}, {"n": 1.0}),
        ({"tags.1": "{slot}"}, {"tags": ["a", "green"]}),
        ({"tags": ["a", "{b}"]}, {"tags": ["a", "{b}"]}),
        ({"inner": {"n": [1]}}, {"inner": {"n": [1]}}),
    ],
)
async def test_json_fields_that_agree_pass(
    slot: FakeSlot, serve: Serve, wanted: dict[str, Any], document: dict[str, Any]
) -> None:
    assert (await ask(slot, serve, http(json=wanted), web.json_response(document))).passed


@pytest.mark.parametrize(
    ("wanted", "document", "answer"),
    [
        ({"status": "ok"}, {"status": "bad"}, '200, but status is "bad", not "ok"'),
        ({"version": "{version}"}, {"version": "v1"}, '200, but version is "v1", not "v2"'),
        ({"checks.db": True}, {"checks": []}, '200, but there is no field checks.db: {"checks"'),
        ({"items.3": 1}, {"items": [1]}, "200, but there is no field items.3"),
        ({"ok": True}, {"ok": 1}, "200, but ok is 1, not true"),
        ({"n": 1}, {"n": "1"}, '200, but n is "1", not 1'),
        ({"tags": ["a"]}, {"tags": ["a", "b"]}, '200, but tags is ["a", "b"], not ["a"]'),
    ],
)
async def test_json_fields_that_differ_are_shown(
    slot: FakeSlot, serve: Serve, wanted: dict[str, Any], document: dict[str, Any], answer: str
) -> None:
    result = await ask(slot, serve, http(json=wanted), web.json_response(document))
    assert not result.passed
    assert result.answer.startswith(answer)


@pytest.mark.parametrize("body", ["<html>\n<h1>Error</h1>", "[" * 5000, ""])
async def test_an_error_page_with_status_200_does_not_pass_for_json(
    slot: FakeSlot, serve: Serve, body: str
) -> None:
    result = await ask(slot, serve, http(json={"status": "ok"}), web.Response(text=body))
    assert not result.passed
    assert result.answer.startswith("200, but body is not JSON: ")
    assert len(result.answer) <= 200
    assert "\n" not in result.answer


async def test_headers_are_compared_without_case_of_their_name(
    slot: FakeSlot, serve: Serve
) -> None:
    response = web.Response(headers={"X-Version": "v2"})
    assert (await ask(slot, serve, http(headers={"x-version": "{version}"}), response)).passed
    response = web.Response(headers={"X-Version": "v1"})
    result = await ask(slot, serve, http(headers={"x-version": "{version}"}), response)
    assert result.answer == '200, but the header x-version is "v1", not "v2"'
    result = await ask(slot, serve, http(headers={"X-Else": "1"}), web.Response())
    assert result.answer == "200, but without the header X-Else"


async def test_the_body_must_contain_the_text(slot: FakeSlot, serve: Serve) -> None:
    wanted = http(body="in {slot}")
    assert (await ask(slot, serve, wanted, web.Response(text="running in green now"))).passed
    result = await ask(slot, serve, wanted, web.Response(text="running in blue now"))
    assert result.answer == '200, but the body does not contain "in green": running in blue now'


async def test_a_body_beyond_the_bound_is_not_read_on(slot: FakeSlot, serve: Serve) -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 65536)

    slot.addresses["api"] = await serve(endless)
    assert (await probe_once(slot.target, http())).passed
    result = await probe_once(slot.target, http(json={"status": "ok"}))
    assert result.answer.startswith("200, but the body is longer than 64 KiB")


async def test_the_request_is_what_the_probe_says(slot: FakeSlot, serve: Serve) -> None:
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response()

    slot.addresses["api"] = address = await serve(handler)
    probe = Probe.model_validate(
        {
            "service": "api",
            "http": {
                "path": "/a%2Fb?q=1",
                "method": "POST",
                "request_headers": {"X-Token": "for {version}"},
            },
        }
    )
    result = await probe_once(slot.target, probe)
    assert (result.passed, result.probe) == (True, "POST /a%2Fb?q=1")
    (request,) = seen
    assert (request.method, request.raw_path) == ("POST", "/a%2Fb?q=1")
    assert request.headers["X-Token"] == "for v2"
    assert request.headers["Host"] == str(address)
    assert request.headers["Connection"] == "close"


async def test_proxies_of_the_environment_are_ignored(
    slot: FakeSlot, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert (await ask(slot, serve, http(), web.Response())).passed


async def test_a_unix_socket_is_probed_like_a_port(slot: FakeSlot, serve: Serve) -> None:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(text="fine")

    slot.addresses["api"] = await serve(handler, socket=slot.root / "api.sock")
    result = await probe_once(slot.target, http(body="fine"))
    assert (result.passed, result.answer) == (True, "200 fine")


async def test_a_server_that_never_answers_is_given_the_timeout(
    slot: FakeSlot, accept: Accept
) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    slot.addresses["api"] = await accept(hang)
    result = await probe_once(slot.target, http(timeout="200ms"))
    assert (result.passed, result.answer) == (False, "no answer within 0.2 s")


async def test_an_answer_that_comes_byte_by_byte_is_given_the_timeout(
    slot: FakeSlot, accept: Accept
) -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    slot.addresses["api"] = await accept(trickle)
    result = await probe_once(slot.target, http(timeout="1s"))
    assert not result.passed
    assert result.answer == "HTTP 200, but the answer did not end within 1 s"


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", "the connection was closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", "the answer broke off"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "the answer is not HTTP: "),
    ],
)
async def test_half_an_answer_does_not_pass(
    slot: FakeSlot, accept: Accept, sent: bytes, answer: str
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(sent)
        await writer.drain()

    slot.addresses["api"] = await accept(talk)
    result = await probe_once(slot.target, http())
    assert not result.passed
    assert result.answer.startswith(answer)


async def test_a_header_that_cannot_be_sent_is_an_answer(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, http(request_headers={"X\r\nY": "1"}), web.Response())
    assert not result.passed
    assert result.answer.startswith("the request cannot be sent")


async def test_an_unknown_placeholder_is_the_configurations_fault(
    slot: FakeSlot, serve: Serve
) -> None:
    with pytest.raises(UsageError, match="prot"):
        await ask(slot, serve, http(body="{prot}"), web.Response())
