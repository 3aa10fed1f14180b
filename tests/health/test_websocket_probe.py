from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from bluegreen.config.questions import Probe
from bluegreen.health.attempt import probe_once
from bluegreen.model import ProbeResult
from tests.health.conftest import Accept, Serve
from tests.health.slot import FakeSlot


def websocket(*, timeout: str = "5s", **wanted: object) -> Probe:
    return Probe.model_validate(
        {
            "service": "api",
            "timeout": timeout,
            "websocket": {"path": "/ws", "expect": "pong", **wanted},
        }
    )


async def ask(
    slot: FakeSlot,
    serve: Serve,
    probe: Probe,
    talk: Callable[[web.WebSocketResponse], Awaitable[None]],
) -> ProbeResult:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        connection = web.WebSocketResponse(timeout=0.2)
        await connection.prepare(request)
        await talk(connection)
        return connection

    slot.addresses["api"] = await serve(handler)
    return await probe_once(slot.target, probe)


async def answer_ping(connection: web.WebSocketResponse) -> None:
    await connection.send_str("welcome")
    async for message in connection:
        if message.type is WSMsgType.TEXT:
            await connection.send_str(f"pong to {message.data}")


async def test_a_message_sent_and_answered_passes(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, websocket(send="ping"), answer_ping)
    assert (result.passed, result.answer) == (True, "answered pong to ping")
    assert result.probe == "websocket /ws"


async def test_the_expected_message_may_name_the_version(slot: FakeSlot, serve: Serve) -> None:
    async def greet(connection: web.WebSocketResponse) -> None:
        await connection.send_bytes(b"this is v2")
        await connection.receive()

    result = await ask(slot, serve, websocket(expect="is {version}"), greet)
    assert (result.passed, result.answer) == (True, "answered this is v2")


async def test_a_close_right_after_the_handshake_does_not_pass(
    slot: FakeSlot, serve: Serve
) -> None:
    async def close(connection: web.WebSocketResponse) -> None:
        await connection.close(code=1011)

    for probe in (websocket(), websocket(send="ping")):
        result = await ask(slot, serve, probe, close)
        assert not result.passed
        assert result.answer == "closed with 1011 right after the handshake"


async def test_a_close_after_another_message_says_which(slot: FakeSlot, serve: Serve) -> None:
    async def close(connection: web.WebSocketResponse) -> None:
        await connection.send_str("no database")
        await connection.close(code=1011)

    result = await ask(slot, serve, websocket(), close)
    assert result.answer == 'closed with 1011 after "no database"'


async def test_a_connection_that_is_cut_does_not_pass(slot: FakeSlot, serve: Serve) -> None:
    async def cut(connection: web.WebSocketResponse) -> None:
        writer = connection._writer
        assert writer is not None
        assert writer.transport is not None
        writer.transport.abort()

    result = await ask(slot, serve, websocket(), cut)
    assert not result.passed
    assert result.answer == "closed with 1006 right after the handshake"


async def test_silence_is_given_the_timeout(slot: FakeSlot, serve: Serve) -> None:
    async def silence(connection: web.WebSocketResponse) -> None:
        async for _ in connection:
            pass

    result = await ask(slot, serve, websocket(timeout="200ms", send="ping"), silence)
    assert result.answer == 'no message containing "pong" within 0.2 s: none came'


async def test_other_messages_are_shown_when_the_time_is_over(slot: FakeSlot, serve: Serve) -> None:
    result = await ask(slot, serve, websocket(timeout="1s"), answer_ping)
    assert result.answer == 'no message containing "pong" within 1 s: the last was "welcome"'


async def test_a_server_that_does_not_close_back_still_passes(slot: FakeSlot, serve: Serve) -> None:
    async def stay(connection: web.WebSocketResponse) -> None:
        await connection.send_str("pong")
        await asyncio.Event().wait()

    assert (await ask(slot, serve, websocket(), stay)).passed


async def test_a_refused_handshake_shows_its_status(slot: FakeSlot, serve: Serve) -> None:
    async def refuse(_: web.Request) -> web.Response:
        return web.Response(status=403)

    slot.addresses["api"] = await serve(refuse)
    result = await probe_once(slot.target, websocket())
    assert (result.passed, result.answer) == (False, "the handshake was refused: HTTP 403")


async def test_a_redirected_handshake_is_not_followed(slot: FakeSlot, serve: Serve) -> None:
    asked: list[str] = []

    async def redirect(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    slot.addresses["api"] = await serve(redirect)
    result = await probe_once(slot.target, websocket())
    assert (result.passed, result.answer) == (False, "the handshake was redirected: HTTP 302")
    assert asked == ["/ws"]


async def test_headers_of_the_handshake_are_sent(slot: FakeSlot, serve: Serve) -> None:
    origins: list[str | None] = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        origins.append(request.headers.get("Origin"))
        connection = web.WebSocketResponse()
        await connection.prepare(request)
        await connection.send_str("pong")
        await connection.receive()
        return connection

    slot.addresses["api"] = await serve(handler)
    probe = websocket(headers={"Origin": "https://{slot}.example.org"})
    assert (await probe_once(slot.target, probe)).passed
    assert origins == ["https://green.example.org"]


async def test_a_handshake_that_never_ends_is_given_the_timeout(
    slot: FakeSlot, accept: Accept
) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    slot.addresses["api"] = await accept(hang)
    result = await probe_once(slot.target, websocket(timeout="200ms"))
    assert (result.passed, result.answer) == (False, "no answer within 0.2 s")
