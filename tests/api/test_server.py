"""The HTTP API on the control socket of a real daemon."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from bluegreen.model import Slot
from tests.api.serving import control_client, serving_v1
from tests.stack import Stack
from tests.waiting import eventually

# For those who change nothing.
_TOGETHER = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing() -> AsyncIterator[Stack]:
    """The API of the sample app, with v1 serving: everybody's, and nobody changes it."""
    async with serving_v1() as built:
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def asker(standing: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    async with control_client(standing) as session:
        yield session


async def problem(response: aiohttp.ClientResponse) -> Any:
    assert response.content_type == "application/problem+json"
    document = json.loads(await response.text())
    assert document["status"] == response.status
    assert document["detail"]
    assert document["remedy"]
    assert "Traceback" not in json.dumps(document)
    return document


async def ended(client: aiohttp.ClientSession, operation: int) -> Any:
    async def final() -> Any:
        async with client.get(f"/v1/operations/{operation}") as response:
            document = await response.json()
        return document if document["finished_at"] else None

    return await eventually(final, f"operation {operation} has ended")


WRONG: list[tuple[str, str, str | None, int, str]] = [
    ("GET", "/v1/apps/nobody", None, 404, "nobody"),
    ("GET", "/v1/operations/99", None, 404, "99"),
    ("GET", "/v1/operations/x", None, 400, "x is no operation's number"),
    ("GET", "/v1/nothing", None, 404, "/v1/nothing"),
    ("DELETE", "/v1/apps", None, 405, "DELETE"),
    ("POST", "/v1/apps/monitor/deployments", "{}", 400, "version"),
    ("POST", "/v1/apps/monitor/deployments", "[", 400, "body"),
    ("POST", "/v1/apps/monitor/deployments", '{"version": 3}', 400, "version"),
    ("POST", "/v1/apps/monitor/deployments", '{"version": "v1", "x": 1}', 400, "x"),
    ("POST", "/v1/apps/monitor/deployments", '{"version": "--all"}', 400, "--all"),
    ("POST", "/v1/apps/monitor/deployments", '{"version": "v1", "manual": 1}', 400, "manual"),
    ("POST", "/v1/apps/monitor/promote", "{}", 409, "no release of monitor waits"),
    ("POST", "/v1/apps/monitor/switch", '{"to": "red"}', 400, "to"),
    ("GET", "/v1/apps/monitor/operations?limit=many", None, 400, "limit"),
    ("GET", "/v1/apps/monitor/operations?limit=0", None, 400, "limit"),
    ("GET", "/v1/apps/monitor/operations?limits=1", None, 400, "limits"),
    ("GET", "/v1/apps/monitor/operations?limit=1&limit=2", None, 400, "more than once"),
    ("GET", "/v1/apps?probe=yes", None, 400, "probe"),
    ("POST", "/v1/apps/monitor/unlock?force=1", None, 400, "force"),
    ("GET", f"/v1/apps/{'a' * 100_000}", None, 414, "bytes long"),
    ("GET", f"/v1/apps?probe={'1' * 100_000}", None, 414, "bytes long"),
    ("GET", "/v1/apps/monitor/logs?service=nothing", None, 404, "nothing"),
    ("GET", "/v1/apps/monitor/logs?operation=1&phase=../..", None, 400, "no phase ../.."),
    ("GET", "/v1/apps/monitor/logs?operation=1&phase=open", None, 400, "no phase open"),
    ("GET", "/v1/apps/monitor/logs?operation=1&service=api", None, 400, "one service alone"),
    ("POST", "/v1/apps/monitor/lock", '{"reason": ""}', 400, "one line of text, not empty"),
    ("POST", "/v1/apps/monitor/lock", '{"reason": "  "}', 400, "one line of text, not empty"),
    ("POST", "/v1/apps/monitor/lock", '{"reason": "a\\nb"}', 400, "one line of text"),
    ("POST", "/v1/apps/monitor/unlock", None, 409, "not locked"),
]


@_TOGETHER
async def test_a_wrong_request_is_a_problem_that_says_what_would_be_right(
    asker: aiohttp.ClientSession,
) -> None:
    for method, path, body, status, said in WRONG:
        async with asker.request(method, path, data=body) as response:
            document = await problem(response)
        evidence = " ".join(document.get("evidence", []))
        assert document["status"] == status, (path, document)
        assert said in document["detail"] + evidence, (path, document)
        assert len(json.dumps(document)) < 1000


@_TOGETHER
async def test_whoever_asks_at_a_wrong_place_is_told_of_the_right_ones(
    asker: aiohttp.ClientSession,
) -> None:
    async with asker.get("/v1/nothing") as response:
        assert "docs/api.md" in (await problem(response))["remedy"]
    async with asker.delete("/v1/apps/monitor/backups") as response:
        assert (await problem(response))["remedy"] == "this path takes GET and POST"


async def test_a_body_may_come_in_pieces(deployed: Stack) -> None:
    body = b'{"reason": "two writes"}'
    reader, writer = await asyncio.open_unix_connection(str(deployed.layout.control_socket))
    writer.write(
        b"POST /v1/apps/monitor/lock HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body[:10]
    )
    await writer.drain()
    # Another request is answered meanwhile: the first piece has been read by then.
    assert (await deployed.cli("status")).status == 0
    writer.write(body[10:])
    answer = await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert answer.startswith(b"HTTP/1.1 200"), answer
    assert b"two writes" in answer


@_TOGETHER
async def test_a_body_that_is_too_large_is_refused(asker: aiohttp.ClientSession) -> None:
    async with asker.post("/v1/apps/monitor/lock", data=b"x" * 100_000) as response:
        assert (await problem(response))["detail"] == "the body is too large"


@_TOGETHER
async def test_a_body_in_an_encoding_is_refused(asker: aiohttp.ClientSession) -> None:
    for encoding in ("gzip", "deflate", "br", "zstd", "nothing"):
        headers = {"Content-Encoding": encoding}
        async with asker.post(
            "/v1/apps/monitor/lock", data=b'{"reason": "audit"}', headers=headers
        ) as response:
            document = await problem(response)
        assert (document["status"], document["exit_status"]) == (415, 2)
        assert encoding in document["detail"]


async def test_a_repeated_key_gets_the_first_operation(client: aiohttp.ClientSession) -> None:
    headers = {"Idempotency-Key": "the-same"}
    numbers = []
    for _ in range(3):
        async with client.post(
            "/v1/apps/monitor/deployments", json={"version": "v2"}, headers=headers
        ) as response:
            assert response.status == 202
            numbers.append((await response.json())["id"])
    assert len(set(numbers)) == 1
    assert (await ended(client, numbers[0]))["state"] == "succeeded"


async def test_events_are_streamed_to_the_end_and_can_be_resumed(
    client: aiohttp.ClientSession,
) -> None:
    async with client.post("/v1/apps/monitor/deployments", json={"version": "v2"}) as response:
        number = (await response.json())["id"]
    async with client.get(f"/v1/operations/{number}/events") as stream:
        assert stream.content_type == "text/event-stream"
        text = (await asyncio.wait_for(stream.content.read(), 60)).decode()
    events = [dict(line.split(": ", 1) for line in part.splitlines() if not line.startswith(":"))
              for part in text.strip().split("\n\n")]  # fmt: skip
    assert events[-1]["event"] == "end"
    assert json.loads(events[-1]["data"])["state"] == "succeeded"
    ids = [int(event["id"]) for event in events[:-1]]
    assert ids == sorted(ids)
    headers = {"Last-Event-ID": str(ids[3])}
    async with client.get(f"/v1/operations/{number}/events", headers=headers) as stream:
        again = (await asyncio.wait_for(stream.content.read(), 60)).decode()
    assert f"id: {ids[3]}\n" not in again
    assert again.startswith(f"id: {ids[4]}\n")
    headers = {"Last-Event-ID": str(ids[-1])}
    async with client.get(f"/v1/operations/{number}/events", headers=headers) as stream:
        rest = (await asyncio.wait_for(stream.content.read(), 60)).decode()
    assert rest.startswith("event: end\n")
    # An event of another operation, and one that is yet to come, say nothing of this one's.
    for strange in (ids[0] - 1, ids[-1] + 1):
        headers = {"Last-Event-ID": str(strange)}
        async with client.get(f"/v1/operations/{number}/events", headers=headers) as response:
            assert "is no event of operation" in (await problem(response))["detail"]


async def test_the_history_has_pages(client: aiohttp.ClientSession, deployed: Stack) -> None:
    await deployed.cli("switch", "to", "blue")  # refused or not, an operation or none
    await deployed.deploy("v2")
    await deployed.deploy("v1")
    async with client.get("/v1/apps/monitor/operations") as response:
        whole = await response.json()
        assert (whole["next"], response.headers.get("Link")) == (None, None)
    found: list[Any] = []
    path: str | None = "/v1/apps/monitor/operations?limit=1"
    while path is not None:
        async with client.get(path) as response:
            page = await response.json()
            path = page["next"]
            assert response.headers.get("Link") == (path and f'<{path}>; rel="next"')
        found += page["operations"]
    assert len(found) >= 3
    assert found == whole["operations"]


async def test_what_has_not_changed_is_not_sent_again(client: aiohttp.ClientSession) -> None:
    for path in (
        "/v1/apps", "/v1/apps/monitor", "/v1/operations", "/v1/apps/monitor/operations",
        "/v1/operations/1",
    ):  # fmt: skip
        async with client.get(path) as response:
            tag = response.headers["ETag"]
            assert response.headers["Cache-Control"] == "private, no-cache"
        for asked in (tag, f'"other", W/{tag}', "*"):
            async with client.get(path, headers={"If-None-Match": asked}) as response:
                assert (response.status, await response.read()) == (304, b"")
                assert response.headers["ETag"] == tag
        for asked in ('"other"', "what?"):
            async with client.get(path, headers={"If-None-Match": asked}) as response:
                assert response.status == 200


async def in_both(client: aiohttp.ClientSession, first: str | None = None) -> tuple[Any, str]:
    """The app's document, of one app and of all the same, and the tag of all; not ``first``."""
    async with client.get("/v1/apps/monitor") as response:
        document = await response.json()
    headers = {} if first is None else {"If-None-Match": first}
    async with client.get("/v1/apps", headers=headers) as response:
        assert (await response.json())["apps"] == [document]
        return document, response.headers["ETag"]


async def test_what_has_changed_is_in_the_next_overview(
    deployed: Stack, client: aiohttp.ClientSession
) -> None:
    first, tag = await in_both(client)
    async with client.post("/v1/apps/monitor/lock", json={"reason": "audit"}):
        pass
    assert (await in_both(client, tag))[0]["lock"]["reason"] == "audit"
    async with client.post("/v1/apps/monitor/unlock"):
        pass
    assert await in_both(client) == (first, tag)
    closed = deployed.layout.app("monitor").traffic / "special" / "closed"
    closed.parent.mkdir()
    closed.touch()  # by somebody else: it is the markers that count
    assert (await in_both(client, tag))[0]["closed"]
    closed.unlink()
    [(name, service)] = first["slots"][deployed.marker()]["services"].items()
    os.kill(service["pid"], signal.SIGKILL)

    async def restarted() -> bool:
        async with client.get("/v1/apps") as response:
            [document] = (await response.json())["apps"]
        now = document["slots"][deployed.marker()]["services"][name]
        return bool(now["restarts"] == 1 and now["state"] == "running")

    await eventually(restarted, "the service runs again")
    await in_both(client, tag)


@_TOGETHER
async def test_a_last_event_id_that_no_event_has_is_refused(
    asker: aiohttp.ClientSession,
) -> None:
    for wrong in ("9" * 30, "-1", "x"):
        headers = {"Last-Event-ID": wrong}
        async with asker.get("/v1/operations/1/events", headers=headers) as response:
            assert "Last-Event-ID" in (await problem(response))["detail"]


async def test_a_stream_that_fails_in_its_middle_is_cut(
    deployed: Stack, client: aiohttp.ClientSession
) -> None:
    log = deployed.layout.app("monitor").service_log(Slot(deployed.marker()), "api")
    path = "/v1/apps/monitor/logs?follow=1&lines=1"
    async with client.get(path) as stream:
        assert await asyncio.wait_for(stream.content.readline(), 30)
        log.rename(log.with_suffix(".old"))
        log.mkdir()
        with pytest.raises(aiohttp.ClientPayloadError):
            await asyncio.wait_for(stream.content.read(), 30)
    assert "broke off" in deployed.daemon_log.read_text()
    assert (await deployed.cli("status")).status == 0


async def test_twenty_requests_at_once_make_one_operation(client: aiohttp.ClientSession) -> None:
    async def deploy() -> int:
        async with client.post("/v1/apps/monitor/deployments", json={"version": "v2"}) as response:
            if response.status != 202:
                document = await problem(response)
                assert "is busy: operation 2 (deploy v2" in document["detail"]
                assert document["exit_status"] == 4
            return response.status

    answers = await asyncio.gather(*(deploy() for _ in range(20)))
    assert sorted(answers) == [202] + [409] * 19
    assert (await ended(client, 2))["state"] == "succeeded"


@_TOGETHER
async def test_the_socket_is_for_its_owner_and_group_only(standing: Stack) -> None:
    mode = standing.layout.control_socket.stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) & 0o007 == 0


@_TOGETHER
async def test_garbage_on_the_socket_does_no_harm(standing: Stack) -> None:
    ask = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    for garbage, status in (
        (b"\x16\x03\x01" * 50, 400),
        (b"GET / HTTP/9.9\r\n\r\n", 400),
        (ask + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        (ask + b"Expect: \xfc\r\n\r\n", 417),
    ):
        reader, writer = await asyncio.open_unix_connection(str(standing.layout.control_socket))
        writer.write(garbage)
        head, _, body = (await asyncio.wait_for(reader.read(), 30)).partition(b"\r\n\r\n")
        writer.close()
        assert head.split()[1] == str(status).encode(), (garbage[:100], head)
        assert b"Server: bluegreen\r\n" in head + b"\r\n"
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == status
    reader, writer = await asyncio.open_unix_connection(str(standing.layout.control_socket))
    with contextlib.suppress(ConnectionError):  # it may have hung up before it had all of that
        writer.write(b"A" * 100_000)
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 30)
    writer.close()
    assert (await standing.cli("status")).status == 0


@_TOGETHER
async def test_the_requester_is_the_user_of_the_process(asker: aiohttp.ClientSession) -> None:
    async with asker.get("/v1/apps/monitor/operations") as response:
        (operation,) = (await response.json())["operations"]
    assert operation["requested_by"].startswith("uid ")
    assert operation["requested_by"].endswith(" via unix socket")


@_TOGETHER
async def test_health_is_the_loop_and_the_store(asker: aiohttp.ClientSession) -> None:
    async with asker.get("/healthz") as response:
        assert (await response.json())["status"] == "ok"


async def test_a_follower_that_hangs_up_is_forgotten(deployed: Stack) -> None:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(deployed.layout.control_socket))
    connection.sendall(b"GET /v1/apps/monitor/logs?follow=1 HTTP/1.0\r\n\r\n")
    assert connection.recv(100)
    connection.close()
    assert (await deployed.cli("status")).status == 0
    assert await deployed.terminate() == 0
