"""What a probe quotes of an answer has no secret in it, nor the half of one."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import web

from bluegreen.config.secrets import of_secret_file
from bluegreen.health.attempt import probe_once
from tests.health.conftest import Accept, Serve
from tests.health.slot import FakeSlot
from tests.health.test_http_probe import http
from tests.health.test_websocket_probe import websocket

SECRET = of_secret_file('pass "word" of the database, which is rather long')
HALVES = (SECRET[:8], json.dumps(SECRET)[1:9])
LONG = "x" * 146 + SECRET  # what is shown of it ends within the secret


@pytest.fixture
def slot(slot: FakeSlot) -> FakeSlot:
    slot.secrets = {"DATABASE_PASSWORD": SECRET}
    return slot


def assert_masked(answer: str) -> None:
    assert "***" in answer
    assert not any(half in answer for half in HALVES)


@pytest.mark.parametrize(
    ("wanted", "status", "body"),
    [
        ({}, 200, SECRET),
        ({}, 500, f"cannot log in with {SECRET}"),
        ({}, 500, LONG),
        ({}, 500, json.dumps({"error": SECRET})),
        ({}, 302, SECRET),
        ({}, 429, "x" * 40 + SECRET),
        ({"body": "welcome"}, 200, LONG),
        ({"json": {"status": "ok"}}, 200, SECRET),
        ({"json": {"status": "ok"}}, 200, json.dumps({"error": SECRET})),
        ({"json": {"status": "ok"}}, 200, json.dumps({"status": "x" * 60 + SECRET})),
        ({"json": {"status": "ok"}}, 200, "x" * 80 + SECRET + "x" * 2**16),
        ({"headers": {"X-Seen": "nothing"}}, 200, ""),
    ],
)
async def test_what_is_quoted_of_an_http_answer(
    slot: FakeSlot, serve: Serve, wanted: dict[str, Any], status: int, body: str
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={"X-Seen": SECRET})

    slot.addresses["api"] = await serve(answer)
    assert_masked((await probe_once(slot.target, http(**wanted))).answer)


async def test_what_is_quoted_of_an_answer_that_is_not_http(slot: FakeSlot, accept: Accept) -> None:
    plain = of_secret_file("rather-plain")
    slot.secrets = {"TOKEN": plain}

    async def talk(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{plain}\r\n\r\n".encode())

    slot.addresses["api"] = await accept(talk)
    answer = (await probe_once(slot.target, http())).answer
    assert answer.startswith("the answer is not HTTP: ")
    assert plain not in answer


@pytest.mark.parametrize("text", [SECRET, "x" * 70 + SECRET, "pong " + LONG])
@pytest.mark.parametrize("closes", [True, False])
async def test_what_is_quoted_of_a_websocket(
    slot: FakeSlot, serve: Serve, text: str, closes: bool
) -> None:
    async def answer(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(timeout=0.2)
        await connection.prepare(request)
        await connection.send_str(text)
        if not closes:
            await connection.receive()
        return connection

    slot.addresses["api"] = await serve(answer)
    assert_masked((await probe_once(slot.target, websocket(timeout="1s"))).answer)
