"""SIGKILL before and after everything that a backup and a restore do to the disk.

A backup is whole or is not there; the data are the old or the restored ones, and the history says
which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind
from bluegreen.operations.plans import phases_of
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.data import (
    OPTIONS,
    SECTION,
    WAITING,
    add_servers,
    back_up,
    backups,
    fill,
    leftovers,
    listed,
    servers,
    shared,
    uploads,
)
from tests.operations.killing import APP, Point, kill_at, points
from tests.stack import Stack, stack
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_A_BACKUP = [
    *points("before operation queued", moved=False, ends=None),
    *points(
        "around backup intent",
        "after rename run/bluegreen/processes/job-*-gather-*",
        "after rename run/bluegreen/processes/job-*-seal-*",
        moved=False,
        ends="interrupted",
    ),
    *points(
        "after rename */backups/*",
        "before backup done",
        "around settle intent",
        "before settle done",
        moved=True,
        ends="succeeded",
    ),
]

IN_A_RESTORE = [
    *points("before operation queued", moved=False, ends=None),
    *points(
        "around verify intent",
        "before verify done",
        "around backup intent",
        "after rename */backups/*",
        "before backup done",
        "around stage intent",
        "after rename run/bluegreen/processes/job-*-stage-*",
        "before stage done",
        "before restore intent",
        moved=False,
        ends="interrupted",
    ),
    *points(
        "after restore intent",
        "after rename */data/.servers.db.replaced-*",
        "after rename */data/servers.db",
        "after rename */shared/.uploads.replaced-*",
        "after rename */shared/uploads",
        "before restore done",
        "around settle intent",
        "before settle done",
        moved=True,
        ends="succeeded",
    ),
]


async def test_the_tables_name_every_phase() -> None:
    for kind, table in (
        (OperationKind.BACKUP, IN_A_BACKUP), (OperationKind.RESTORE, IN_A_RESTORE),
    ):  # fmt: skip
        steps = {point.step for point in table}
        for phase in phases_of(kind):
            assert {f"{phase.name} intent", f"{phase.name} done"} <= steps


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await fill(built, SECTION + "keep = 2\n")
        await back_up(built)
        yield built


async def killed(stack: Stack, point: Point, path: str, *, closed: bool) -> Any:
    """Kill the daemon at ``point`` of what ``path`` begins, and start it again; the operation."""
    newest = (await history_of(stack))[0]["id"]
    await kill_at(stack, point, f"{APP}/{path}", {})
    await stack.serve()
    await agreement(stack, closed=closed)
    operation = (await history_of(stack))[0]
    if point.ends is None:
        assert operation["id"] == newest, operation
    else:
        assert (operation["id"], operation["state"]) == (newest + 1, point.ends), operation
    for backup in await listed(stack):
        assert backup["good"], backup
    assert (await stack.cli("backup", "verify")).status == 0
    return operation


@pytest.mark.parametrize("point", IN_A_BACKUP, ids=str)
async def test_killed_in_a_backup(shop: Stack, point: Point) -> None:
    before = [backup["id"] for backup in await listed(shop)]
    operation = await killed(shop, point, "backups", closed=False)
    made = [backup["id"] for backup in await listed(shop)]
    assert made == ([operation["id"], *before] if point.moved else before)[:2]
    assert not [path for path in backups(shop).iterdir() if path.name.startswith(".")]


async def test_killed_while_a_command_is_asked(shop: Stack) -> None:
    shop.write_app(extra=SECTION + WAITING, **OPTIONS)
    await shop.reload()
    creating = await shop.start_cli("backup", "create")
    await eventually((shared(shop) / "begun").exists, "the command runs")
    await shop.kill()
    await shop.serve()
    await creating.communicate()
    await agreement(shop)
    assert (await history_of(shop))[0]["state"] == "interrupted"
    assert not [path for path in backups(shop).iterdir() if path.name.startswith(".")]
    (shared(shop) / "begun").unlink()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stopped() -> AsyncIterator[Stack]:
    """Out of service; its first backup has one server and one upload."""
    async with stack() as built:
        await fill(built)
        await back_up(built)
        assert (await built.cli("stop")).status == 0
        yield built


@pytest.mark.parametrize("point", IN_A_RESTORE, ids=str)
async def test_killed_in_a_restore(stopped: Stack, point: Point) -> None:
    first = (await listed(stopped))[-1]["id"]
    add_servers(stopped, "second")
    (shared(stopped) / "uploads/b.txt").write_text("more")
    before = servers(stopped)
    await killed(stopped, point, f"backups/{first}/restore", closed=True)
    if point.moved:
        assert servers(stopped) == ["first"]
        assert uploads(stopped) == {"deep/a.txt": "first"}
    else:
        assert servers(stopped) == before
        assert "b.txt" in uploads(stopped)
    assert not leftovers(stopped)
