"""The version that serves on is tried on the migrated copy, before the real data are migrated."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.model import Slot
from bluegreen.slots.stamp import stamp_of
from tests.operations.data import listed, servers
from tests.operations.migrations import (
    ADDS,
    CHECK,
    RUN,
    SCENARIO,
    applied,
    last,
    phase,
    refused,
    rehearsals,
    rehearsed_processes,
    rewrite,
    schema,
    section,
    serve,
)
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v2 serves, and v1 is hot in the other slot."""
    async with stack() as built:
        await serve(built, section() + SCENARIO + ADDS, first="v1")
        await built.deploy("v2")
        yield built


def idle(stack: Stack, status: Any) -> Any:
    (other,) = {"blue", "green"} - {stack.marker()}
    return status["slots"][other]


async def test_a_schema_that_the_old_version_cannot_live_with_is_refused(shop: Stack) -> None:
    before, backups, hot = schema(shop), await listed(shop), idle(shop, await shop.status())
    answer, operation = await refused(shop, "v4-rename")
    assert "the old version v2 does not live with the migrated schema" in answer.err
    assert "step 2 of 3 of the smoke scenario failed: api smoke servers: HTTP 500" in answer.err
    assert 'use mode = "hold"' in answer.err
    assert "v2 is tried on the migrated copy: web, api" in answer.out
    assert "api smoke login of v2 on the copy passes" in answer.out
    assert "{ports.api} in [[build]] are those of" in answer.out
    assert [one["phase"] for one in operation["phases"]][-1] == "rehearse"
    output = await shop.cli("logs", "monitor", str(operation["id"]), "--phase", "rehearse")
    assert "no such column: address" in output.out
    assert (schema(shop), await listed(shop), await applied(shop)) == (before, backups, [])
    assert not rehearsed_processes(shop)
    # The way back was not touched.
    now = idle(shop, await shop.status())
    assert (now["state"], now["version"]) == ("hot", "v1")
    assert now["services"] == hot["services"]


async def test_one_kind_of_write_is_enough_for_that(shop: Stack) -> None:
    answer, _ = await refused(shop, "v4-required")
    assert "api http /api/health of v2 on the copy passes" in answer.out
    assert "api smoke servers of v2 on the copy passes" in answer.out
    assert "step 3 of 3 of the smoke scenario failed: api smoke add: HTTP 500" in answer.err
    assert "owner" not in schema(shop)["servers"]


async def test_what_the_old_version_writes_is_written_to_the_copy(shop: Stack) -> None:
    before = servers(shop).count("scenario")
    answer = await shop.deploy("v4-notes")
    assert "v2 lives with the migrated schema" in answer.out
    assert phase(await last(shop), "rehearse")["data"]["tried"] == "v2"
    # Only the new version's own scenario, at its gate: straight, and through nginx.
    assert servers(shop).count("scenario") == before + 2
    assert not rehearsals(shop)
    assert not rehearsed_processes(shop)


async def test_where_nothing_is_pending_it_is_not_started(shop: Stack) -> None:
    answer = await shop.deploy("v4-audit")
    assert "is tried" not in answer.out
    assert "tried" not in phase(await last(shop), "rehearse")["data"]


@pytest_asyncio.fixture(loop_scope="module")
async def fresh() -> AsyncIterator[Stack]:
    async with stack() as built:
        yield built


async def test_it_can_be_left_out(fresh: Stack) -> None:
    await serve(fresh, section(rehearse='"migrations"') + SCENARIO)
    answer = await fresh.deploy("v4-rename")
    assert "rehearsed in" in answer.out
    assert "is tried" not in answer.out


async def test_without_check_it_is_tried_where_the_schema_changes(fresh: Stack) -> None:
    await serve(fresh, section(RUN) + SCENARIO)
    answer, _ = await refused(fresh, "v4-rename")
    assert "does not live with the migrated schema" in answer.err
    answer = await fresh.deploy("v4-delete")
    assert "is tried" not in answer.out


async def test_without_a_scenario_that_is_said(fresh: Stack) -> None:
    await serve(fresh, section(CHECK + RUN))
    answer = await fresh.deploy("v4-audit")
    assert "whether v2 lives with it is not known: no [[gate.smoke]]" in answer.out


async def test_it_is_not_started_on_what_names_the_real_data(fresh: Stack) -> None:
    await serve(fresh, section() + SCENARIO)
    place = fresh.layout.app("monitor").slots / "green"
    probe = (
        f'\n[[gate.smoke]]\nname = "disk"\nservice = "api"\ncommand = {{ run = "ls {place}" }}\n'
    )
    await rewrite(fresh, section() + SCENARIO + probe)
    answer, _ = await refused(fresh, "v4-audit")
    assert "v2 would have worked on the real data in the rehearsal" in answer.err
    assert f"smoke disk names {place.parent}" in answer.err


async def test_the_tree_of_the_old_version_stays_as_it_was(fresh: Stack) -> None:
    await serve(fresh, section() + SCENARIO)
    tree = fresh.layout.app("monitor").slot(Slot(fresh.marker())).resolve()
    before = {path: path.lstat().st_mtime_ns for path in tree.rglob("*")}
    await refused(fresh, "v4-rename")
    assert {path: path.lstat().st_mtime_ns for path in tree.rglob("*")} == before
    assert stamp_of(tree).exists()
