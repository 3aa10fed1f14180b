"""SIGKILL of the daemon, or of a migration, before and after all that migrations do to the disk.

The release is undone, its migrations with it, and the history says so.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.of_data import OF_DATA
from bluegreen.operations.plans import phases_of
from bluegreen.processes import is_alive
from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of
from tests.operations.data import listed, servers
from tests.operations.killing import APP, Point, kill_at, points
from tests.operations.migrations import (
    SCENARIO,
    applied,
    begun,
    last,
    phase,
    rehearsals,
    rehearsed_processes,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.writers import writing
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_JOB = "after rename run/bluegreen/processes/job-monitor-"
IN_A_DEPLOY = points(
    "around rehearse intent",
    f"{_JOB}begin-rehearsal-*",
    f"{_JOB}*-rehearse-run*",
    f"{_JOB}copy-release-*",
    f"{_JOB}*-rehearse-old-web*",
    f"{_JOB}*-rehearse-old-api*",
    f"{_JOB}end-rehearsal-*",
    "before rehearse done",
    "around backup intent",
    "after rename */backups/*",
    "before backup done",
    "around migrate intent",
    f"{_JOB}*-migrate-run*",
    f"{_JOB}*-migrate-check*",
    "before migrate done",
    "around start intent",
    built=True,
    moved=False,
    ends="interrupted",
)
IN_THE_UNDOING = points(
    "around migrate undoing",
    f"{_JOB}*-migrate-rollback*",
    "around migrate undone",
    built=True,
    since="gate failed",
    moved=False,
    ends="interrupted",
)
BY_HAND = [
    *points(
        "around check intent",
        "around backup intent",
        "before backup done",
        "around migrate intent",
        moved=False,
        ends="interrupted",
    ),
    *points("before migrate done", moved=True, ends="interrupted"),
    *points("around settle intent", "before settle done", moved=True, ends="succeeded"),
]
BY_HAND_HELD = [
    *points("before gate done", moved=False, ends="interrupted"),
    *points("after unlink */traffic/special/closed", moved=True, ends="succeeded"),
]


async def test_the_tables_name_every_phase_that_is_about_data() -> None:
    for table in (IN_A_DEPLOY, BY_HAND):
        steps = {point.step for point in table}
        for name in (PhaseName.BACKUP, PhaseName.MIGRATE):
            assert {f"{name} intent", f"{name} done"} <= steps
    assert {phase.name for phase in phases_of(OperationKind.DEPLOY)} >= OF_DATA


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, section() + SCENARIO)
        yield built


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(shop: Stack) -> AsyncIterator[Stack]:
    """What never gets healthy is given up soon; no rehearsal has to be done in that time."""
    await rewrite(shop, section(rehearse=False) + SCENARIO, deadline="3s")
    yield shop
    await rewrite(shop, section() + SCENARIO)


async def killed(stack: Stack, point: Point, path: str, body: dict[str, Any]) -> Any:
    """Kill the daemon at ``point`` of what ``path`` begins, and start it again; the operation."""
    newest = (await history_of(stack))[0]["id"]
    await kill_at(stack, point, f"{APP}/{path}", body)
    await stack.serve()
    await agreement(stack)
    operation = await last(stack)
    assert (operation["id"], operation["state"]) == (newest + 1, point.ends), operation
    assert not rehearsals(stack)
    assert not rehearsed_processes(stack)
    assert [name for name in servers(stack) if not name.startswith("row ")] == ["old one", "first"]
    for backup in await listed(stack):
        assert backup["good"], backup
    return operation


def as_it_was(stack: Stack) -> None:
    tables = schema(stack)
    assert "audit_logs" not in tables
    assert "notes" not in tables["servers"]


@pytest.mark.parametrize("point", IN_A_DEPLOY, ids=str)
async def test_killed_in_a_deploy(shop: Stack, point: Point) -> None:
    operation = await killed(shop, point, "deployments", {"version": "v4-notes"})
    assert (await shop.status())["slots"][shop.marker()]["version"] == "v2"
    as_it_was(shop)
    assert await applied(shop) == []
    assert not any("still so" in line for line in operation["error"]["detail"]), operation


@pytest.mark.parametrize("point", IN_THE_UNDOING, ids=str)
async def test_killed_while_migrations_are_undone(impatient: Stack, point: Point) -> None:
    await killed(impatient, point, "deployments", {"version": "v4-unhealthy"})
    as_it_was(impatient)
    assert await applied(impatient) == []


async def test_after_all_kills_a_deploy_succeeds_and_leaves_no_tree_behind(shop: Stack) -> None:
    await shop.deploy("v4-notes")
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]
    layout = shop.layout.app("monitor")
    linked = {link.resolve() for link in layout.slots.iterdir() if not link.name.startswith(".")}
    assert {path for path in layout.trees.iterdir() if path.is_dir()} == linked


@pytest_asyncio.fixture(loop_scope="module")
async def holding(shop: Stack) -> AsyncIterator[Stack]:
    """What is done by hand is done under a hold."""
    await rewrite(shop, section().replace('mode = "online"', 'mode = "hold"') + SCENARIO)
    yield shop
    await rewrite(shop, section() + SCENARIO)


@pytest.mark.parametrize("point", BY_HAND, ids=str)
async def test_killed_in_a_rollback_by_hand(shop: Stack, point: Point) -> None:
    await killed_in_a_rollback(shop, point)


@pytest.mark.parametrize("point", BY_HAND_HELD, ids=str)
async def test_killed_under_its_hold_it_is_put_back_until_visitors_are_let_in(
    holding: Stack, point: Point
) -> None:
    async with writing(holding, visitors=2) as writers:
        await writers.write_more()
        await killed_in_a_rollback(holding, point)
        await writers.write_more()
    writers.expect_all_there(holding)
    assert not (await holding.status())["closed"]


async def killed_in_a_rollback(shop: Stack, point: Point) -> None:
    known = await applied(shop)
    if known == []:
        await shop.deploy("v4-notes")
    elif known == ["0001_audit_logs"]:
        answer = await shop.cli("migrations", "run", "monitor")
        assert answer.status == 0, answer.err
    await killed(shop, point, "migrations/rollback", {})
    undone = "notes" not in schema(shop)["servers"]
    assert undone == point.moved
    known = ["0001_audit_logs"] if undone else ["0001_audit_logs", "0002_notes"]
    assert await applied(shop) == known


SLOW = {"env": {"MONITOR_MIGRATION_SECONDS": "60"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def slow() -> AsyncIterator[Stack]:
    """In which the migration of v4-slow takes a minute; it is not rehearsed."""
    async with stack() as built:
        await serve(built, section(rehearse=False), **SLOW)
        yield built


async def test_killed_while_a_migration_runs_it_is_ended_before_anything_is_said(
    slow: Stack,
) -> None:
    before = (await history_of(slow))[0]["id"]
    deploying = await slow.start_cli("deploy", "v4-slow")
    leader = await begun(slow, before)
    await slow.kill()
    assert is_alive(leader)
    await slow.serve()
    await agreement(slow)
    await deploying.communicate()
    assert not is_alive(leader)
    assert (await last(slow))["state"] == "interrupted"
    assert "slow" not in schema(slow)
    assert await applied(slow) == []


async def test_a_migration_that_is_killed_has_failed(slow: Stack) -> None:
    before = (await history_of(slow))[0]["id"]
    deploying = await slow.start_cli("deploy", "v4-slow")
    leader = await begun(slow, before)
    os.killpg(leader.pid, signal.SIGKILL)
    _, err = await deploying.communicate()
    assert deploying.returncode == 1
    assert b"SIGKILL" in err, err
    operation = await last(slow)
    assert operation["state"] == "failed"
    assert f"backup {operation['id']} holds the data of before" in operation["error"]["detail"]
    assert "slow" not in schema(slow)


async def test_a_migration_out_of_time_is_ended(slow: Stack) -> None:
    await rewrite(slow, section(rehearse=False).replace('"30s"', '"1s"'), **SLOW)
    answer = await slow.cli("deploy", "v4-slow")
    assert answer.status == 1
    assert "timed out after 1 s" in answer.err
    assert "slow" not in schema(slow)


async def test_a_cancel_lets_a_migration_come_to_its_end_and_undoes_it(slow: Stack) -> None:
    await rewrite(slow, section(rehearse=False), env={"MONITOR_MIGRATION_SECONDS": "2"})
    before = (await history_of(slow))[0]["id"]
    deploying = await slow.start_cli("deploy", "v4-slow")
    leader = await begun(slow, before)
    status, answer = await ask(slow, "POST", f"{APP}/cancel", {})  # in its two seconds
    assert status == 200, answer
    out, _ = await deploying.communicate()
    assert b"rolled back: 0005_slow" in out, out
    assert not is_alive(leader)
    operation = await last(slow)
    assert operation["state"] == "cancelled"
    assert phase(operation, "migrate")["state"] == "undone"
    assert "slow" not in schema(slow)
    assert await applied(slow) == []
