"""A switch back that has to undo migrations, asked for once more while it goes on or after."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, status_of
from tests.operations.killing import APP
from tests.operations.migrations import applied, section, serve
from tests.stack import Stack, stack
from tests.visits import served_version
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = section(rehearse=False).replace('mode = "online"', 'mode = "hold"')


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v4-rename serves, v2 has been in the other slot; a release is watched for long."""
    async with stack() as built:
        await serve(built, HELD)
        await built.deploy("v4-rename")
        built.write_app(extra=HELD, services=("web", "api"), healthy_for="0.1s", watch="60s")
        await built.reload()
        yield built


async def back(shop: Stack, key: str) -> tuple[int, Any]:
    return await ask(
        shop, "POST", f"{APP}/switch", {"to": "back"}, headers={"Idempotency-Key": key}
    )


async def test_asked_for_again_it_is_the_same_one_and_answered_once_traffic_has_moved(
    shop: Stack,
) -> None:
    newest = (await history_of(shop))[0]["id"]
    first = asyncio.create_task(back(shop, "one"), name="the first switch back")

    async def rolls_back() -> bool:
        operation = (await status_of(shop))["operation"]
        return operation is not None and operation["kind"] == "rollback"

    await eventually(rolls_back, "the rollback has begun")
    second = asyncio.create_task(back(shop, "another"), name="the second switch back")
    for status, answer in await asyncio.gather(first, second):
        assert status == 200, answer
        assert (answer["operation"]["id"], answer["version"]) == (newest + 1, "v2")
    assert (await status_of(shop))["operation"]["id"] == newest + 1  # it is watched
    assert await served_version(shop) == "v2"
    assert await applied(shop) == []
    # The same request once more, with its key.
    status, answer = await back(shop, "one")
    assert (status, answer["operation"]["id"]) == (200, newest + 1)
    # Refused, and what is watched goes on.
    status, answer = await back(shop, "a third")
    assert (status, answer["kind"]) == (409, "refused"), answer
    assert "bluegreen deploy monitor v4-rename" in answer["remedy"]
    assert (await status_of(shop))["operation"]["id"] == newest + 1
    # Of another kind, the key is somebody else's.
    status, answer = await ask(
        shop, "POST", f"{APP}/rollback", {"version": "v2"}, headers={"Idempotency-Key": "one"}
    )
    assert status == 409, answer
    assert (await shop.cli("cancel", "monitor")).status == 0
    await agreement(shop)
