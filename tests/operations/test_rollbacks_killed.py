"""SIGKILL before and after everything that the ways back do to data: finished, or undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.plans import phases_of, phases_with_data
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.data import add_servers, leftovers, listed, servers
from tests.operations.killing import APP, Point, kill_at, points
from tests.operations.migrations import applied, last, rehearsals, schema, section, serve
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

_JOB = "after rename run/bluegreen/processes/job-monitor-"
IN_A_REVERSAL = points(
    "around backup intent",
    "after rename */backups/*",
    "before backup done",
    "around reverse intent",
    f"{_JOB}begin-rehearsal-*",
    f"{_JOB}*-reverse-rollback*",
    f"{_JOB}end-rehearsal-*",
    "before reverse done",
    "around settle intent",
    "before settle done",
    moved=True,
    ends="succeeded",
)
IN_ITS_UNDOING = points(
    "around reverse undoing",
    f"{_JOB}*-reverse-run*",
    since="reverse failed",
    moved=True,
    ends="interrupted",
)
WITH_DATA = [
    *points(
        "after verify intent",
        "after close intent",
        "before close done",
        "after stop intent",
        "before stop done",
        "after backup intent",
        "before backup done",
        "after stage intent",
        "before stage done",
        "before restore intent",
        moved=False,
        ends="interrupted",
    ),
    *points(
        "after restore intent",
        "after rename */data/.servers.db.replaced-*",
        "after rename */data/servers.db",
        "before restore done",
        "after start intent",
        "before start done",
        "after gate intent",
        "before gate done",
        "after switch intent",
        "after unlink*/traffic/special/closed",
        "before switch done",
        "after settle intent",
        "before settle done",
        moved=True,
        ends="succeeded",
    ),
]


async def test_the_tables_name_every_phase_that_is_about_data() -> None:
    begun = [PhaseName.BACKUP, PhaseName.REVERSE, PhaseName.SETTLE]
    phases = [phase.name for phase in phases_of(OperationKind.ROLLBACK)]
    assert phases[phases.index(PhaseName.WATCH) + 1 :] == begun
    steps = {point.step for point in IN_A_REVERSAL}
    assert {f"{name} {state}" for name in begun for state in ("intent", "done")} <= steps
    steps = {point.step for point in WITH_DATA}
    begun = [phase.name for phase in phases_with_data()]
    for name in begun[begun.index(PhaseName.VERIFY) :]:
        assert f"{name} intent" in steps


async def killed(stack: Stack, point: Point, body: dict[str, Any]) -> Any:
    """Kill the daemon at ``point`` of a rollback, and start it again; the operation."""
    newest = (await history_of(stack))[0]["id"]
    await kill_at(stack, point, f"{APP}/rollback", body)
    await stack.serve()
    await agreement(stack)
    operation = await last(stack)
    assert (operation["id"], operation["state"]) == (newest + 1, point.ends), operation
    assert not rehearsals(stack)
    assert not leftovers(stack)
    for backup in await listed(stack):
        assert backup["good"], backup
    return operation


async def serving(stack: Stack) -> Any:
    return (await stack.status())["slots"][stack.marker()]["version"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built)
        yield built


@pytest.mark.parametrize("point", IN_A_REVERSAL, ids=str)
async def test_killed_while_migrations_are_rolled_back(shop: Stack, point: Point) -> None:
    if await applied(shop) == []:
        await shop.deploy("v4-notes")
    await killed(shop, point, {"version": "v2"})
    assert await serving(shop) == "v2"
    assert await applied(shop) == []
    tables = schema(shop)
    assert "audit_logs" not in tables
    assert "notes" not in tables["servers"]
    assert servers(shop) == ["old one", "first"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stuck() -> AsyncIterator[Stack]:
    """In which a rollback fails after it has undone two of three migrations."""
    async with stack() as built:
        await serve(built, section(rehearse=False))
        await built.deploy("v4-delete")
        await built.deploy("v4-notes")
        yield built


@pytest.mark.parametrize("point", IN_ITS_UNDOING, ids=str)
async def test_killed_while_they_are_applied_again(stuck: Stack, point: Point) -> None:
    if await serving(stuck) == "v2":
        await stuck.deploy("v4-notes")
    operation = await killed(stuck, point, {"version": "v2"})
    assert await serving(stuck) == "v2"
    assert {*await applied(stuck)} == {"0007_delete", "0001_audit_logs", "0002_notes"}
    assert "notes" in schema(stuck)["servers"]
    told = "\n".join(operation["error"]["detail"])
    assert "applied, and still so: " in told, operation


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dropped() -> AsyncIterator[Stack]:
    """v4-audit serves; the first backup is of what v2 served on."""
    async with stack() as built:
        await serve(built, section().replace("keep = 3", "keep = 200"))
        await built.deploy("v4-audit")
        yield built


@pytest.mark.parametrize("point", WITH_DATA, ids=str)
async def test_killed_while_release_and_data_come_back(dropped: Stack, point: Point) -> None:
    if await serving(dropped) == "v2":
        await dropped.deploy("v4-audit")
    add_servers(dropped, "written since")
    before = servers(dropped)
    first = (await listed(dropped))[-1]["id"]
    await killed(dropped, point, {"restore": first})
    if point.moved:
        assert await serving(dropped) == "v2"
        assert servers(dropped) == ["old one", "first"]
        assert await applied(dropped) == []
        assert "audit_logs" not in schema(dropped)
    else:
        assert await serving(dropped) == "v4-audit"
        assert servers(dropped) == before
        assert await applied(dropped) == ["0001_audit_logs"]
