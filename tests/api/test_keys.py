"""Idempotency-Key: what is repeated, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.api.test_server import ended, problem
from tests.stack import Stack

KEY = {"Idempotency-Key": "the-same"}


async def post(
    client: aiohttp.ClientSession, action: str, body: dict[str, Any] | None = None
) -> tuple[int, Any]:
    """Status and document of a request with the key."""
    async with client.post(f"/v1/apps/monitor/{action}", json=body or {}, headers=KEY) as response:
        if response.status >= 400:
            return response.status, await problem(response)
        return response.status, await response.json()


async def begin(client: aiohttp.ClientSession, action: str, body: dict[str, Any]) -> int:
    """Begin an operation and wait until it has succeeded; its number."""
    async with client.post(f"/v1/apps/monitor/{action}", json=body) as response:
        assert response.status == 202, await response.text()
        number: int = (await response.json())["id"]
    assert (await ended(client, number))["state"] == "succeeded"
    return number


async def repeated(client: aiohttp.ClientSession, action: str) -> None:
    status, first = await post(client, action)
    assert status == 202, first
    assert (await ended(client, first["id"]))["state"] == "succeeded"
    status, again = await post(client, action)
    assert (status, again.get("id")) == (202, first["id"]), again


async def test_a_start_that_is_repeated_is_the_first_one(client: aiohttp.ClientSession) -> None:
    await begin(client, "stop", {})
    await repeated(client, "start")


async def test_a_restart_that_is_repeated_after_a_stop_is_the_first_one(
    client: aiohttp.ClientSession,
) -> None:
    status, first = await post(client, "restart")
    assert status == 202
    await ended(client, first["id"])
    await begin(client, "stop", {})
    assert (await post(client, "restart"))[1]["id"] == first["id"]


async def test_a_rollback_that_is_repeated_is_the_first_one(
    client: aiohttp.ClientSession, deployed: Stack
) -> None:
    await begin(client, "deployments", {"version": "v2"})
    await repeated(client, "rollback")
    assert (await deployed.status())["slots"][deployed.marker()]["version"] == "v1"


async def test_equal_requests_at_once_are_one_operation(client: aiohttp.ClientSession) -> None:
    body = {"version": "v2"}
    answers = await asyncio.gather(*(post(client, "deployments", body) for _ in range(5)))
    assert [status for status, _ in answers] == [202] * 5
    assert len({document["id"] for _, document in answers}) == 1
    await ended(client, answers[0][1]["id"])


async def test_equal_switches_at_once_move_the_traffic_once(
    client: aiohttp.ClientSession, deployed: Stack
) -> None:
    await begin(client, "deployments", {"version": "v2"})
    old = deployed.marker()
    answers = await asyncio.gather(*(post(client, "switch", {"to": "back"}) for _ in range(5)))
    assert [status for status, _ in answers] == [200] * 5, answers
    assert len({document["operation"]["id"] for _, document in answers}) == 1
    assert deployed.marker() != old


async def test_a_key_that_began_something_else_is_refused(
    client: aiohttp.ClientSession, deployed: Stack
) -> None:
    status, first = await post(client, "deployments", {"version": "v2"})
    assert status == 202
    await ended(client, first["id"])
    old = deployed.marker()
    other = "green" if old == "blue" else "blue"
    for action, body in (
        ("switch", {"to": other}),
        ("rollback", {"version": "v2"}),
        ("deployments", {"version": "v1"}),
        ("stop", {}),
    ):
        status, document = await post(client, action, body)
        assert (status, document["kind"]) == (409, "duplicate-key"), (action, document)
        assert "use a new key" in document["remedy"]
    assert deployed.marker() == old


async def test_a_key_of_a_switch_to_the_other_slot_is_refused(
    client: aiohttp.ClientSession, deployed: Stack
) -> None:
    await begin(client, "deployments", {"version": "v2"})
    there = deployed.marker()
    assert (await post(client, "switch", {"to": "back"}))[0] == 200
    back = deployed.marker()
    assert (await post(client, "switch", {"to": back}))[0] == 200
    status, document = await post(client, "switch", {"to": there})
    assert (status, document["kind"]) == (409, "duplicate-key")
    assert deployed.marker() == back
