"""SIGKILL of the daemon at every point of a hold: visitors wait, and no write is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bluegreen.model import PhaseName
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.data import leftovers, listed
from tests.operations.killing import APP, Point, kill_at, points
from tests.operations.migrations import (
    applied,
    begun,
    last,
    rehearsals,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.writers import writing
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

HELD = section(rehearse=False).replace('mode = "online"', 'mode = "hold"')
_JOB = "after rename run/bluegreen/processes/job-monitor-"
FORWARD = points(
    "around hold intent",
    "after rename */traffic/special/hold",
    "around drain intent",
    "after slot blue cold",
    "before drain done",
    "after backup intent",
    "after rename */backups/*",
    "around migrate intent",
    f"{_JOB}*-migrate-run*",
    "before migrate done",
    "after start intent",
    "before start done",
    "before gate done",
    "after switch intent",
    "before rename traffic/blue",
    built=True,
    moved=False,
    ends="interrupted",
)
MOVED = points(
    "after rename */traffic/green",
    "around release intent",
    "after unlink */traffic/special/hold",
    "before release done",
    built=True,
    moved=True,
    ends="succeeded",
)
BACK = points(
    "after start undone",
    "around backup undoing",
    f"{_JOB}stage-*",
    "before backup undone",
    "around drain undoing",
    "after slot blue starting",
    "before drain undone",
    "around hold undoing",
    "before hold undone",
    built=True,
    since="gate failed",
    moved=False,
    ends="interrupted",
)
HELD_PHASES = (PhaseName.HOLD, PhaseName.DRAIN, PhaseName.BACKUP, PhaseName.MIGRATE)


async def test_the_tables_name_every_phase_of_a_hold() -> None:
    steps = {point.step for point in FORWARD}
    assert {f"{name} intent" for name in HELD_PHASES} <= steps
    assert {f"{name} undoing" for name in (PhaseName.HOLD, PhaseName.DRAIN, PhaseName.BACKUP)} <= {
        point.step for point in BACK
    }


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, HELD)
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(shop: Stack) -> AsyncIterator[Stack]:
    """What never gets healthy is given up soon."""
    await rewrite(shop, HELD, deadline="3s")
    yield shop
    await rewrite(shop, HELD)


async def killed(shop: Stack, point: Point, version: str) -> None:
    """Kill the daemon at ``point`` of a deploy, start it again, and look at what became of it."""
    newest = (await history_of(shop))[0]["id"]
    async with writing(shop, visitors=2) as writers:
        await writers.write_more()
        await kill_at(shop, point, f"{APP}/deployments", {"version": version})
        await shop.serve()
        await agreement(shop)
        await writers.write_more()
    operation = await last(shop)
    assert (operation["id"], operation["state"]) == (newest + 1, point.ends), operation
    writers.expect_all_there(shop)
    status = await shop.status()
    assert status["held"] is None
    assert status["slots"][status["active"]]["version"] == (version if point.moved else "v2")
    assert ("notes" in schema(shop)["servers"]) == point.moved
    assert await applied(shop) == (["0001_audit_logs", "0002_notes"] if point.moved else [])
    assert not leftovers(shop)
    assert not rehearsals(shop)
    for backup in await listed(shop):
        assert backup["good"], backup


@pytest.mark.parametrize("point", FORWARD, ids=str)
async def test_killed_before_traffic_has_moved_the_old_version_serves(
    shop: Stack, point: Point
) -> None:
    await killed(shop, point, "v4-notes")


@pytest.mark.parametrize("point", BACK, ids=str)
async def test_killed_on_the_way_back_it_goes_on(impatient: Stack, point: Point) -> None:
    await killed(impatient, point, "v4-unhealthy")


@pytest.mark.parametrize("point", MOVED, ids=str)
async def test_killed_once_traffic_has_moved_the_new_version_serves(
    shop: Stack, point: Point
) -> None:
    if await applied(shop):
        assert (
            await shop.cli("hold", "monitor")
        ).status == 0  # as each would by itself, with gates
        for _ in range(2):
            answer = await shop.cli("migrations", "rollback", "monitor")
            assert answer.status == 0, answer.err
        assert (await shop.cli("release", "monitor")).status == 0
        await shop.deploy("v2")
        if shop.marker() != "blue":
            await shop.deploy("v2")
    await killed(shop, point, "v4-notes")


async def test_a_migration_that_is_killed_is_undone(shop: Stack) -> None:
    slow = {"env": {"MONITOR_MIGRATION_SECONDS": "60"}}
    await rewrite(shop, HELD, **slow)
    before = (await history_of(shop))[0]["id"]
    async with writing(shop, visitors=2) as writers:
        deploying = await shop.start_cli("deploy", "v4-slow")
        leader = await begun(shop, before)
        os.killpg(leader.pid, signal.SIGKILL)
        _, err = await deploying.communicate()
        assert deploying.returncode == 1
        assert b"SIGKILL" in err, err
        await agreement(shop)
        await writers.write_more()
    writers.expect_all_there(shop)
    assert "slow" not in schema(shop)
    assert (await shop.status())["held"] is None
