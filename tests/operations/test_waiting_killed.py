"""SIGKILL around the turn of a release that waits: it is done, once, in its order."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.beside import add, post
from tests.operations.killing import APP, Point, Trial, kill_at, points, trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

AROUND_A_TURN = [
    *points("before operation running", moved=False, ends="succeeded"),  # it has never begun
    *points("after build intent", moved=False, ends="interrupted"),
    *points("before operation succeeded", moved=True, ends="succeeded"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def queued() -> AsyncIterator[Trial]:
    """v1 serves, v2 is hot, and the app is locked, so that what a trigger asks for waits."""
    async with trial(loaded=False, services=("web", "api")) as running:
        yield running


@pytest.mark.parametrize("point", AROUND_A_TURN, ids=str)
async def test_killed_around_its_turn(queued: Trial, point: Point) -> None:
    stack = queued.stack
    await queued.back_to("blue")
    await post(stack, "lock", reason="not yet")
    number = await add(stack, "v2")
    await post(stack, "resume")
    await kill_at(stack, point, f"{APP}/unlock", {})
    await stack.serve()
    status = await agreement(stack)
    assert status["slots"][status["active"]]["version"] == "v2"
    assert status["queue"]["waiting"] == []
    history = [one for one in await history_of(stack) if one["id"] >= number]
    states = [one["state"] for one in reversed(history)]
    if point.ends == "interrupted":
        assert states == ["interrupted", "succeeded"]
        assert (history[0]["attempt"], history[0]["repeats"]) == (2, number)
    else:
        assert states == ["succeeded"]
