"""Apps that have no command for their migrations, as they migrate when they start."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.operations.data import listed
from tests.operations.migrations import (
    CHECK,
    FAIL_ON,
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

AT_START = {"env": {"MONITOR_MIGRATES_AT_START": "1"}}
NO_NAMES = section(FAIL_ON) + SCENARIO


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, NO_NAMES, **AT_START)
        yield built


async def test_a_release_that_fails_to_migrate_never_touches_the_data(shop: Stack) -> None:
    before, backups = schema(shop), await listed(shop)
    for version, says in (
        ("v4-syntax", "v4-syntax does not come up on a copy of the data: service api ended"),
        ("v4-halfway", "the second half is impossible"),
        ("v4-fatal", "what api of v4-fatal says matches fail_on in the rehearsal"),
        ("v4-unhealthy", "v4-unhealthy does not come up on a copy of the data"),
        ("v4-rename", "the old version v2 does not live with the migrated schema"),
    ):
        # What never gets well is given up soon; all others are well in a moment, or fail in one.
        soon = {"deadline": "3s"} if version == "v4-unhealthy" else {}
        await rewrite(shop, NO_NAMES, **AT_START, **soon)
        answer, operation = await refused(shop, version)
        assert says in answer.err, answer.err
        assert [one["phase"] for one in operation["phases"]][-1] == "rehearse"
        assert (schema(shop), await listed(shop)) == (before, backups)
        assert not rehearsed_processes(shop)


async def test_it_is_rehearsed_timed_and_backed_up_before_it_starts(shop: Stack) -> None:
    answer = await shop.deploy("v4-audit")
    assert "v4-audit migrates the copy as it starts: web, api" in answer.out
    operation = await last(shop)
    rehearsed = phase(operation, "rehearse")["data"]
    assert rehearsed["pending"] is None
    assert rehearsed["seconds"] > 0
    assert "data/servers.db: table audit_logs added" in rehearsed["changes"]
    begun = [one["phase"] for one in operation["phases"]]
    assert begun[begun.index("build") :][:4] == ["build", "rehearse", "backup", "start"]
    assert phase(operation, "backup")["data"]["backup"] == operation["id"]
    assert "audit_logs" in schema(shop)
    assert not rehearsals(shop)


@pytest_asyncio.fixture(loop_scope="module")
async def fresh() -> AsyncIterator[Stack]:
    async with stack() as built:
        yield built


async def test_check_is_asked_on_the_copy(fresh: Stack) -> None:
    await serve(fresh, section(CHECK), **AT_START)
    answer, _ = await refused(fresh, "v4-silent")
    assert "the release has come up, and check still calls migrations pending" in answer.err
    assert "pending migrations: 0001_audit_logs (" in (await fresh.cli("plan", "v4-audit")).out
    await fresh.deploy("v4-audit")
    assert phase(await last(fresh), "rehearse")["data"]["pending"] == ["0001_audit_logs"]
    backups = await listed(fresh)
    await fresh.deploy("v4-audit")
    assert phase(await last(fresh), "backup")["data"]["skipped"] == "nothing is pending"
    assert await listed(fresh) == backups


async def test_without_a_rehearsal_it_is_backed_up_all_the_same(fresh: Stack) -> None:
    await serve(fresh, section(CHECK, rehearse=False), **AT_START)
    await fresh.deploy("v4-audit")
    operation = await last(fresh)
    begun = [one["phase"] for one in operation["phases"]]
    assert begun[begun.index("build") :][:3] == ["build", "backup", "start"]
    assert phase(operation, "backup")["data"]["backup"] == operation["id"]


async def test_with_run_and_without_check_it_fails_on_the_copy(fresh: Stack) -> None:
    await serve(fresh, section(RUN + FAIL_ON))
    before, backups = schema(fresh), await listed(fresh)
    for version, says in (
        ("v4-syntax", 'near "TABEL": syntax error'),
        ("v4-fatal", "its output matches fail_on"),
    ):
        answer, operation = await refused(fresh, version)
        assert says in answer.err
        assert [one["phase"] for one in operation["phases"]][-1] == "rehearse"
    assert (schema(fresh), await listed(fresh)) == (before, backups)
    assert await applied(fresh) == []
