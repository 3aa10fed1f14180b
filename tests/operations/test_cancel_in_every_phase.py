"""A cancel comes as a phase has just been recorded as begun: whichever phase it is."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind, OperationState, PhaseName
from bluegreen.operations.plans import phases_of
from tests.operations.agreement import agreement, disagreements
from tests.operations.asking import ask, history_of
from tests.operations.killing import APP, Point, Trial, come_to, trial
from tests.operations.ledger import Ledger
from tests.operations.standstill import held
from tests.stack import Stack
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

PHASES = [phase.name for phase in phases_of(OperationKind.DEPLOY, ())]
V2 = {"version": "v2"}
BEFORE_TRAFFIC = PHASES[: PHASES.index(PhaseName.SWITCH)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visited() -> AsyncIterator[Trial]:
    async with trial() as running:
        yield running


async def cancel_deploy_at(stack: Stack, step: str) -> None:
    """Deploy v2, and cancel it as the daemon stands still after ``step``."""
    with tempfile.TemporaryDirectory() as scratch:
        ledger = await asyncio.to_thread(Ledger, stack.layout.database, Path(scratch))
        async with held(stack) as standstill:
            deploying = asyncio.create_task(ask(stack, "POST", f"{APP}/deployments", V2))
            await come_to(Point(step=step, moved=False, ends=None), stack, standstill, ledger)
            cancelling = asyncio.create_task(ask(stack, "POST", f"{APP}/cancel", {}))
    assert (await deploying)[0] == 202
    status, answer = await cancelling
    assert status == 200, answer


@pytest.mark.parametrize("phase", PHASES)
async def test_a_deploy_cancelled_in_any_phase_leaves_all_in_agreement(
    visited: Trial, phase: PhaseName
) -> None:
    stack = visited.stack
    await visited.back_to("blue")
    await cancel_deploy_at(stack, f"{phase} intent")
    if phase is PhaseName.SETTLE:
        await is_settled_as_far_as_it_got(stack)
    else:
        await agreement(stack)
        assert (await history_of(stack))[0]["state"] == OperationState.CANCELLED
    if phase in BEFORE_TRAFFIC:
        assert stack.marker() == "blue"
    elif phase in (PhaseName.WATCH, PhaseName.SETTLE):
        assert stack.marker() == "green"
    visited.expect_nobody_let_down()


async def is_settled_as_far_as_it_got(stack: Stack) -> None:
    """The release has proved itself, and only clearing up after it has not come to its end."""

    async def only_that() -> bool:
        return await disagreements(stack, "monitor", closed=False) in (
            [], ["settle of a success is failed"],
        )  # fmt: skip

    await eventually(only_that, "all agree but for clearing up")
    assert (await history_of(stack))[0]["state"] == OperationState.SUCCEEDED
