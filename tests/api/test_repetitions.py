"""Idempotency-Key on what begins no operation: the first answer again, and nothing done twice."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from typing import Any

import aiohttp

from tests.api.test_server import ended, problem
from tests.stack import Stack


class Shop:
    """Requests to one app, with a key or without."""

    def __init__(self, client: aiohttp.ClientSession) -> None:
        self._client = client

    async def post(self, action: str, key: str | None = None, **body: Any) -> tuple[int, Any]:
        """Status and document."""
        headers = {} if key is None else {"Idempotency-Key": key}
        path = action if action.startswith("/") else f"/v1/apps/monitor/{action}"
        async with self._client.post(path, json=body, headers=headers) as response:
            if response.status >= 400:
                return response.status, await problem(response)
            return response.status, await response.json()

    async def refused(self, action: str, key: str, **body: Any) -> None:
        status, document = await self.post(action, key, **body)
        assert (status, document["kind"]) == (409, "duplicate-key"), document

    async def is_locked(self) -> bool:
        async with self._client.get("/v1/apps/monitor") as response:
            return (await response.json())["lock"] is not None


async def test_what_is_asked_for_twice_is_done_once(
    client: aiohttp.ClientSession, deployed: Stack
) -> None:
    shop = Shop(client)
    await deployed.deploy("v2")
    first = await shop.post("lock", "a", reason="audit")
    assert first[0] == 200
    await shop.post("unlock")
    assert await shop.post("lock", "a", reason="audit") == first
    assert not await shop.is_locked()

    # The key is of that request, whatever another would do.
    await shop.refused("lock", "a", reason="another")
    await shop.refused("unlock", "a")
    await shop.refused("deployments", "a", version="v1")
    await shop.refused("switch", "a", to="back")

    # What was refused may be tried again.
    assert (await shop.post("unlock", "b"))[0] == 409
    await shop.post("lock", reason="audit")
    assert (await shop.post("unlock", "b"))[0] == 200
    assert (await shop.post("unlock", "b"))[0] == 200

    # At the same time too, and of another place in the path.
    previews = await asyncio.gather(*(shop.post("preview", "c", seconds=60) for _ in range(5)))
    assert previews[0][0] == 200
    assert all(one == previews[0] for one in previews)
    assert (await shop.post("preview", seconds=60)) != previews[0]
    [key] = previews[0][1]["header"].values()
    with contextlib.closing(sqlite3.connect(deployed.layout.database)) as store:
        assert not [row for row in store.execute("SELECT answer FROM answers") if key in row[0]]
    held = await shop.post("hold", "d", timeout=60)
    assert (await shop.post("release", "e"))[0] == 200
    assert await shop.post("hold", "d", timeout=60) == held
    assert (await shop.post("release"))[0] == 409
    reloaded = await shop.post("/v1/reload", "a")  # a key of the daemon is none of the app
    assert (reloaded[0], await shop.post("/v1/reload", "a")) == (200, reloaded)

    # Of operations, the key is known for ever, and for nothing else.
    status, operation = await shop.post("restart", "f")
    assert status == 202
    await shop.refused("lock", "f", reason="audit")
    cancelled = await shop.post("cancel", "g")
    assert (cancelled[0], cancelled[1]["id"]) == (200, operation["id"])
    await ended(client, operation["id"])
    assert await shop.post("cancel", "g") == cancelled


async def test_answers_outlive_the_daemon(client: aiohttp.ClientSession, deployed: Stack) -> None:
    shop = Shop(client)
    first = await shop.post("lock", "a", reason="audit")
    await shop.post("unlock")
    await deployed.kill()
    await deployed.serve()
    assert await shop.post("lock", "a", reason="audit") == first
    assert not await shop.is_locked()


async def test_a_key_that_is_none_is_refused(client: aiohttp.ClientSession) -> None:
    for key in ("", "x" * 201, "ü"):
        status, document = await Shop(client).post("lock", key, reason="audit")
        assert (status, document["detail"]) == (400, "Idempotency-Key is not right")
