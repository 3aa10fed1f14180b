"""A cancel comes as a phase has just been recorded as begun: whichever phase it is."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind, OperationState, PhaseName
from bluegreen.operations.plans import phases_of
from tests.operations.agreement import agreement, disagreements
from tests.operations.asking import history_of
from tests.operations.killing import APP, INTACT, LEFT_OUT, Point, Trial, beginning, come_to, trial
from tests.operations.ledger import Ledger
from tests.operations.migrations import applied, schema, section, serve
from tests.operations.standstill import held
from tests.operations.writers import writing
from tests.stack import Stack, stack
from tests.traffic.client import Reply, read_reply
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHASES = [phase.name for phase in phases_of(OperationKind.DEPLOY, ()) if phase.name not in LEFT_OUT]
HELD = section(rehearse=False).replace('mode = "online"', 'mode = "hold"')
BEFORE_TRAFFIC = PHASES[: PHASES.index(PhaseName.SWITCH)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visited() -> AsyncIterator[Trial]:
    async with trial(extra=INTACT) as running:
        yield running


async def cancel_deploy_at(stack: Stack, step: str, version: str = "v2") -> None:
    """Deploy ``version``, and cancel it as the daemon stands still after ``step``."""
    begun = {f"{phase} intent" for phase in PHASES[: PHASES.index(PhaseName.BUILD) + 1]}
    deploy = beginning(stack, f"{APP}/deployments", {"version": version}, built=step not in begun)
    with tempfile.TemporaryDirectory() as scratch:
        ledger = await asyncio.to_thread(Ledger, stack.layout.database, Path(scratch))
        async with deploy as begin, held(stack) as standstill:
            deploying = asyncio.create_task(begin(), name="a deploy")
            await come_to(Point(step=step, moved=False, ends=None), stack, standstill, ledger)
            answered = await cancel_sent(stack)
    await deploying
    answer = await answered()
    assert answer.status == 200, answer.body


async def cancel_sent(stack: Stack) -> Callable[[], Coroutine[None, None, Reply]]:
    """What waits for the answer. The request is there, whatever the daemon does from now on."""
    reader, writer = await asyncio.open_unix_connection(str(stack.layout.control_socket))
    head = f"POST {APP}/cancel HTTP/1.1\r\nHost: bluegreen\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: 2\r\n\r\n{{}}".encode())
    await writer.drain()

    async def answered() -> Reply:
        async with asyncio.timeout(PATIENCE):
            reply = await read_reply(reader)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return reply

    return answered


@pytest.mark.parametrize("phase", PHASES)
async def test_a_deploy_cancelled_in_any_phase_leaves_all_in_agreement(
    visited: Trial, phase: PhaseName
) -> None:
    shop = visited.stack
    await visited.back_to("blue")
    await cancel_deploy_at(shop, f"{phase} intent")
    if phase is PhaseName.SETTLE:
        await is_settled_as_far_as_it_got(shop)
    else:
        await agreement(shop)
        assert (await history_of(shop))[0]["state"] == OperationState.CANCELLED
    if phase in BEFORE_TRAFFIC:
        assert shop.marker() == "blue"
    elif phase in (PhaseName.WATCH, PhaseName.SETTLE):
        assert shop.marker() == "green"
    visited.expect_nobody_let_down()


async def is_settled_as_far_as_it_got(stack: Stack) -> None:
    """The release has proved itself, and only clearing up after it has not come to its end."""

    async def only_that() -> bool:
        return await disagreements(stack, "monitor", closed=False) in (
            [], ["settle of a success is failed"],
        )  # fmt: skip

    await eventually(only_that, "all agree but for clearing up")
    assert (await history_of(stack))[0]["state"] == OperationState.SUCCEEDED


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def migrating() -> AsyncIterator[Stack]:
    """v2 serves from blue, and migrations are made under a hold."""
    async with stack() as built:
        await serve(built, HELD)
        yield built


@pytest.mark.parametrize("phase", ["hold", "drain", "backup", "migrate", "start", "gate"])
async def test_cancelled_under_a_hold_nobody_notices(migrating: Stack, phase: str) -> None:
    async with writing(migrating, visitors=2) as writers:
        await writers.write_more()
        await cancel_deploy_at(migrating, f"{phase} intent", "v4-notes")
        await agreement(migrating)
        await writers.write_more()
    writers.expect_all_there(migrating)
    assert (await history_of(migrating))[0]["state"] == OperationState.CANCELLED
    assert (await migrating.status())["held"] is None
    assert migrating.marker() == "blue"
    assert "notes" not in schema(migrating)["servers"]
    assert await applied(migrating) == []
