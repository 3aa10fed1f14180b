"""A release's migrations: rehearsed, run while the old version serves, undone by name."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from typing import Any

import pytest
import pytest_asyncio

from tests.operations.data import add_servers, listed, servers, shared
from tests.operations.migrations import (
    ALL,
    CHECK,
    FAIL_ON,
    ROLLBACK,
    RUN,
    applied,
    last,
    phase,
    refused,
    rehearsals,
    rewrite,
    schema,
    section,
    serve,
)
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")

BEFORE = ["first", "old one"]
KEPT = """
[[gate.unchanged]]
name = "servers"
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM servers"
allow = "more"
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built)
        yield built


def has_begun(operation: Any) -> list[str]:
    return [one["phase"] for one in operation["phases"]]


async def test_what_fails_in_the_rehearsal_never_touches_the_data(shop: Stack) -> None:
    before, backups = schema(shop), await listed(shop)
    for version, says in (
        ("v4-syntax", 'near "TABEL": syntax error'),
        ("v4-fatal", "its output matches fail_on, and it ended with exit status 0"),
        ("v4-halfway", "the second half is impossible"),
        ("v4-silent", "check still calls migrations pending in the rehearsal"),
    ):
        answer, operation = await refused(shop, version)
        assert says in answer.err, answer.err
        assert has_begun(operation)[-1] == "rehearse"
        output = await shop.cli("logs", "monitor", str(operation["id"]), "--phase", "rehearse")
        assert "applying" in output.out
    assert schema(shop) == before
    assert await listed(shop) == backups
    assert await applied(shop) == []


async def test_a_release_that_fails_its_gate_leaves_its_migrations_undone(shop: Stack) -> None:
    before = schema(shop)
    # What is long enough for those that are well is a long time to wait for this one.
    await rewrite(shop, section(), deadline="6s")
    answer, operation = await refused(shop, "v4-unhealthy")
    await rewrite(shop, section())
    assert "rolled back: 0002_notes" in answer.out
    assert answer.out.index("rolled back: 0002_notes") < answer.out.index("rolled back: 0001_audit")
    assert phase(operation, "migrate")["state"] == "undone"
    after = schema(shop)
    del after["schema_migrations"]
    assert after == {name: before[name] for name in after}
    assert await applied(shop) == []


async def test_pending_migrations_are_rehearsed_backed_up_and_applied(shop: Stack) -> None:
    answer = await shop.deploy("v4-notes")
    assert "rehearsed in" in answer.out
    operation = await last(shop)
    begun = has_begun(operation)
    assert begun[begun.index("build") :][:5] == ["build", "rehearse", "backup", "migrate", "start"]
    assert phase(operation, "rehearse")["data"]["pending"] == ["0001_audit_logs", "0002_notes"]
    assert (
        "data/servers.db: table audit_logs added" in phase(operation, "rehearse")["data"]["changes"]
    )
    assert phase(operation, "migrate")["data"]["applied"] == ["0001_audit_logs", "0002_notes"]
    assert schema(shop)["servers"][-1] == "notes"
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]
    newest = (await listed(shop))[0]
    assert (newest["id"], newest["reason"]) == (operation["id"], "before deploy v4-notes")
    assert not rehearsals(shop)


async def test_without_pending_migrations_no_backup_is_made(shop: Stack) -> None:
    backups = await listed(shop)
    await shop.deploy("v4-audit")
    operation = await last(shop)
    assert phase(operation, "rehearse")["data"]["pending"] == []
    for name in ("backup", "migrate"):
        assert phase(operation, name)["data"]["skipped"] == "nothing is pending"
    assert await listed(shop) == backups


async def test_backups_of_deploys_count_to_those_that_are_kept(shop: Stack) -> None:
    for version in ("v4-delete", "v4-slow"):
        await shop.deploy(version)
        add_servers(shop, "old one")
    assert len(await listed(shop)) == 3
    assert (await shop.cli("backup", "verify")).status == 0


@pytest_asyncio.fixture(loop_scope="module")
async def fresh() -> AsyncIterator[Stack]:
    async with stack() as built:
        yield built


async def test_what_fails_half_way_on_the_data_is_told_with_the_way_back(fresh: Stack) -> None:
    await serve(fresh, section(rehearse=False))
    answer, operation = await refused(fresh, "v4-halfway")
    assert "rolled back: 0001_audit_logs" in answer.out
    told = "\n".join(operation["error"]["detail"])
    assert "a migration has ended half-way, and check calls it pending" in told
    assert "data/servers.db: table half added" in told
    backup = operation["id"]
    assert f"backup {backup} holds the data of before" in told
    assert f"bluegreen backup restore monitor {backup}" in operation["error"]["remedy"]
    assert await applied(fresh) == []
    assert phase(operation, "migrate")["state"] == "failed"


async def test_the_way_back_that_is_told_works(fresh: Stack) -> None:
    await serve(fresh, section(rehearse=False))
    _, operation = await refused(fresh, "v4-halfway")
    for command in (
        ("stop", "monitor"),
        ("backup", "restore", "monitor", str(operation["id"]), "--yes"),
        ("start", "monitor"),
    ):
        answer = await fresh.cli(*command)
        assert answer.status == 0, answer.err
    assert "half" not in schema(fresh)
    assert set(servers(fresh)) == set(BEFORE)


async def test_rows_that_a_migration_deletes_stop_its_release_and_come_back(fresh: Stack) -> None:
    await serve(fresh, section() + KEPT)
    answer, operation = await refused(fresh, "v4-delete")
    assert "in the rehearsal, what is to stay unchanged has changed: servers: 2" in answer.err
    assert has_begun(operation)[-1] == "rehearse"
    assert sorted(servers(fresh)) == BEFORE
    await rewrite(fresh, section(rehearse=False) + KEPT)
    answer = await fresh.cli("deploy", "v4-delete")
    assert answer.status == 1, answer.out + answer.err
    assert "what is to stay unchanged has changed: servers: 2 before, 1 now" in answer.err
    operation = await last(fresh)
    assert has_begun(operation)[-1] == "gate"
    status = await fresh.status()
    assert status["slots"][fresh.marker()]["version"] == "v2"
    # There is no way back from it but the backup that was made before it.
    assert servers(fresh) == ["first"]
    assert (await listed(fresh))[0]["sqlite"]["data/servers.db"]["servers"] == 2
    for command in (
        ("stop", "monitor"),
        ("backup", "restore", "monitor", str(operation["id"]), "--yes"),
        ("start", "monitor"),
    ):
        assert (await fresh.cli(*command)).status == 0
    assert sorted(servers(fresh)) == BEFORE


async def test_a_migration_of_a_database_that_a_stranger_has_locked_fails_and_may_be_tried_again(
    fresh: Stack,
) -> None:
    await serve(fresh)
    # It makes the table of the names, so that asking waits for no lock.
    assert (await fresh.cli("migrations", "check", "monitor")).status == 0
    before = schema(fresh)
    # Others may read all the while: rehearsal and backup do not notice.
    database = fresh.layout.app("monitor").shared / "data/servers.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as stranger:
        stranger.execute("BEGIN IMMEDIATE")
        answer, operation = await refused(fresh, "v4-notes")
        assert has_begun(operation)[-2:] == ["backup", "migrate"]
        assert "failed: database is locked" in answer.err
    assert (await applied(fresh), schema(fresh)) == ([], before)
    await fresh.deploy("v4-notes")


async def test_status_0_with_fatal_is_a_failure_on_the_data_too(fresh: Stack) -> None:
    # Without check, so that nothing but fail_on can tell.
    await serve(fresh, section(RUN + FAIL_ON, rehearse=False))
    answer, operation = await refused(fresh, "v4-fatal")
    assert "its output matches fail_on" in answer.err
    assert "[FATAL] the migration could not be done" in answer.err
    assert "changed, and there are no names to undo it by" in "\n".join(
        operation["error"]["detail"]
    )


async def test_still_pending_afterwards_is_a_failure_on_the_data_too(fresh: Stack) -> None:
    await serve(fresh, section(rehearse=False))
    answer, operation = await refused(fresh, "v4-silent")
    assert "check still calls migrations pending" in answer.err
    assert has_begun(operation)[-1] == "migrate"


async def test_an_app_without_check_is_served(fresh: Stack) -> None:
    await serve(fresh, section(RUN + FAIL_ON))
    await fresh.deploy("v4-audit")
    operation = await last(fresh)
    assert phase(operation, "rehearse")["data"]["pending"] is None
    assert (
        "data/servers.db: table audit_logs added" in phase(operation, "rehearse")["data"]["changes"]
    )
    assert (
        "data/servers.db: table audit_logs added" in phase(operation, "migrate")["data"]["changes"]
    )
    assert phase(operation, "backup")["data"]["backup"] == operation["id"]


async def test_the_first_release_has_no_data_to_back_up(fresh: Stack) -> None:
    await serve(fresh)
    (first,) = [one for one in (await fresh.operations()) if one["version"] == "v2"]
    assert first["state"] == "succeeded"
    assert await listed(fresh) == []


async def test_without_rollback_what_was_applied_stays_and_is_told(fresh: Stack) -> None:
    await serve(fresh, section(CHECK + RUN, rehearse=False))
    await rewrite(fresh, section(CHECK + RUN, rehearse=False), deadline="2s")
    answer, operation = await refused(fresh, "v4-unhealthy")
    assert "applied, and still so: 0001_audit_logs, 0002_notes" in answer.err
    assert "the old version goes on with the new schema" in operation["error"]["remedy"]
    assert await applied(fresh) == ["0001_audit_logs", "0002_notes"]
    assert "notes" in schema(fresh)["servers"]


async def test_once_the_new_release_had_traffic_nothing_is_undone_by_itself(fresh: Stack) -> None:
    await serve(fresh)
    await rewrite(fresh, section(), watch="60s")
    deploying = await fresh.start_cli("deploy", "v4-notes")
    out, _ = b"", b""
    assert deploying.stdout is not None
    while b"watch" not in (line := await deploying.stdout.readline()):
        assert line, out
        out += line
    answer = await fresh.cli("switch", "back")
    assert answer.status == 0, answer.err
    _, err = await deploying.communicate()
    assert await applied(fresh) == ["0001_audit_logs", "0002_notes"], err
    assert "notes" in schema(fresh)["servers"]


async def test_the_rehearsal_refuses_to_work_on_the_real_data(fresh: Stack) -> None:
    data = fresh.layout.app("monitor").shared / "data"
    await serve(fresh)
    await rewrite(fresh, section(), env={"DATABASE": str(data / "servers.db")})
    before = schema(fresh)
    answer, _ = await refused(fresh, "v4-audit")
    assert "would have worked on the real data in the rehearsal" in answer.err
    assert "DATABASE names" in answer.err
    assert "{shared_dir}" in answer.err
    assert schema(fresh) == before
    await rewrite(fresh, section(), env={"DATABASE": "{shared_dir}/data/servers.db"})
    await fresh.deploy("v4-audit")


async def test_a_check_that_prints_what_is_no_name_is_refused(fresh: Stack) -> None:
    keys = ALL.replace(CHECK, "check = 'echo 2 migrations are pending'\n")
    await serve(fresh, section(CHECK + RUN))
    await rewrite(fresh, section(keys))
    answer, _ = await refused(fresh, "v4-audit")
    assert "check printed what is no name of a migration" in answer.err
    assert "2 migrations are pending" in answer.err
    assert ROLLBACK in keys


async def test_the_room_for_copies_is_looked_at_before_anything_is_done(fresh: Stack) -> None:
    files = section(CHECK + RUN).replace("keep = 3", 'keep = 3\nfiles = ["uploads"]')
    await serve(fresh, files)
    uploads = shared(fresh) / "uploads"
    uploads.mkdir()
    (uploads / "large").touch()
    os.truncate(uploads / "large", 2**42)  # 4 TiB, none of them on the disk
    answer, operation = await refused(fresh, "v4-audit")
    assert has_begun(operation) == ["preflight"]
    assert re.search(r"\(41943\d\d MiB of it for its backup and rehearsal\)", answer.err), (
        answer.err
    )
    plan = await fresh.cli("plan", "monitor", "v4-audit")
    assert "of it for its backup and rehearsal" in plan.out + plan.err
    # A way back copies no data.
    assert (await fresh.cli("restart", "monitor")).status == 0
