"""``bluegreen migrations``: asked, run, undone where they were applied, marked as applied."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.operations.agreement import agreement
from tests.operations.asking import ask
from tests.operations.data import WAITING, listed, shared
from tests.operations.killing import APP, INTACT
from tests.operations.migrations import (
    ALL,
    BACKUP,
    CHECK,
    SCENARIO,
    applied,
    last,
    phase,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.writers import writing
from tests.stack import Answer, Stack, stack
from tests.waiting import eventually

HELD = ["hold", "drain", "start", "gate", "open", "release"]

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v4-notes, which has applied both of its migrations, serves; v2 is in the other slot."""
    async with stack() as built:
        await serve(built)
        await built.deploy("v4-notes")
        yield built


def has_begun(operation: Any) -> list[str]:
    return [one["phase"] for one in operation["phases"]]


async def migrations(stack: Stack, *words: str) -> Answer:
    """Of the app; it has succeeded."""
    action, *name = words
    answer = await stack.cli("migrations", action, "monitor", *name)
    assert answer.status == 0, answer.out + answer.err
    return answer


async def test_nothing_is_pending_after_a_deploy(shop: Stack) -> None:
    backups = await listed(shop)
    assert "nothing is pending in v4-notes" in (await migrations(shop, "check")).out
    assert [one["phase"] for one in (await last(shop))["phases"]] == ["check"]
    assert await listed(shop) == backups


async def test_the_newest_is_undone_in_the_release_that_applied_it(shop: Stack) -> None:
    # An older release serves by now, whose own rollback would end well and do nothing.
    assert (await shop.cli("switch", "back")).status == 0
    refused = await shop.cli("migrations", "rollback", "monitor", "0001_audit_logs")
    assert refused.status == 1
    assert "0002_notes came after 0001_audit_logs" in refused.err
    answer = await migrations(shop, "rollback")
    assert "rolled back: 0002_notes" in answer.out
    operation = await last(shop)
    assert operation["version"] == "rollback 0002_notes"
    assert phase(operation, "check")["data"]["version"] == "v4-notes"
    assert "notes" not in schema(shop)["servers"]
    assert await applied(shop) == ["0001_audit_logs"]
    newest = (await listed(shop))[0]
    assert (newest["id"], newest["reason"]) == (
        operation["id"],
        "before migrate rollback 0002_notes",
    )
    assert (await shop.cli("switch", "back")).status == 0


async def test_a_name_alone_is_that_of_a_migration(shop: Stack) -> None:
    assert (await shop.cli("migrations", "rollback", "0001_audit_logs")).status == 0
    assert "audit_logs" not in schema(shop)
    assert await applied(shop) == []


async def test_what_is_pending_is_named_and_run(shop: Stack) -> None:
    answer = await migrations(shop, "check")
    assert "pending: 0001_audit_logs" in answer.out
    assert "pending: 0002_notes" in answer.out
    await rewrite(shop, section().replace('mode = "online"', 'mode = "hold"'))
    assert (await shop.cli("hold", "monitor", "--timeout", "5m")).status == 0
    answer = await migrations(shop, "run")
    assert (await shop.cli("release", "monitor")).status == 0
    assert "applied: 0002_notes" in answer.out
    assert not set(HELD) & set(has_begun(await last(shop)))  # a hold by hand is left to the hand
    assert "notes" in schema(shop)["servers"]
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]


async def test_one_is_marked_as_applied_only_if_it_is_pending(shop: Stack) -> None:
    answer = await shop.cli("migrations", "mark-applied", "0002_notes")
    assert answer.status == 1
    assert "check does not call 0002_notes pending" in answer.err
    async with writing(shop, visitors=2) as writers:
        await migrations(shop, "rollback")
        await writers.write_more()
    writers.expect_all_there(shop)
    assert [one for one in has_begun(await last(shop)) if one in HELD] == HELD
    status = await agreement(shop)
    assert status["slots"][status["active"]]["version"] == "v4-notes"
    await migrations(shop, "mark-applied", "0002_notes")
    await rewrite(shop, section())
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]
    assert "notes" not in schema(shop)["servers"]
    document = (await ask(shop, "GET", f"{APP}/migrations"))[1]
    assert document["applied"][-1]["change"] == "marked"


async def test_where_what_serves_does_not_live_with_it_all_is_put_back(shop: Stack) -> None:
    held = section().replace('mode = "online"', 'mode = "hold"')
    await rewrite(shop, held + INTACT + SCENARIO)
    await shop.deploy("v4-rename")
    needs = "command = 'frobnicate'\nrestore_command = 'cat'\n"
    await rewrite(shop, held.replace(BACKUP, BACKUP + needs) + "rehearse = false\n")
    answer = await shop.cli("migrations", "rollback")
    assert "command of [backup] needs frobnicate" in answer.err
    assert [one["phase"] for one in (await last(shop))["phases"]] == ["check"]
    await rewrite(shop, held + INTACT + SCENARIO, deadline="4s")
    before, names = schema(shop), await applied(shop)
    async with writing(shop, visitors=2) as writers:
        answer = await shop.cli("migrations", "rollback")
        assert answer.status == 1, answer.out + answer.err
        await writers.write_more()
    writers.expect_all_there(shop)
    assert "monitor: after migrations rollback 0006_rename: v4-rename in " in answer.err
    assert "go back with the release: bluegreen rollback monitor --to VERSION" in answer.err
    assert "the data of before are put back, from backup" in answer.out
    assert (schema(shop), await applied(shop)) == (before, names)
    status = await agreement(shop)
    assert status["slots"][status["active"]]["version"] == "v4-rename"
    assert phase(await last(shop), "measure")["state"] == "done"
    await rewrite(shop, held, env={"MONITOR_MIGRATES_AT_START": "1"})
    answer = await shop.cli("migrations", "rollback")
    assert "has applied 0006_rename again as it started" in answer.err
    assert (schema(shop), await applied(shop)) == (before, names)
    await rewrite(shop, section())


async def test_names_that_are_none_never_reach_a_shell(shop: Stack) -> None:
    for name in ("x; touch /tmp/never", "$(id)", "../x"):
        status, document = await ask(shop, "POST", f"{APP}/migrations/mark-applied", {"name": name})
        assert (status, document["kind"]) == (400, "usage"), document
    status, _ = await ask(shop, "POST", f"{APP}/migrations/mark-applied", {})
    assert status == 400
    status, _ = await ask(shop, "POST", f"{APP}/migrations/undo", {})
    assert status == 404
    status, document = await ask(shop, "POST", f"{APP}/migrations/rollback", {"name": "0099_x"})
    assert status == 404
    assert "no release is known to have applied 0099_x" in document["detail"]


async def test_a_key_that_comes_again_begins_nothing_anew(shop: Stack) -> None:
    headers = {"Idempotency-Key": "once"}
    path = f"{APP}/migrations/check"
    first = (await ask(shop, "POST", path, {}, headers=headers))[1]["id"]
    await eventually(lambda: _is_idle(shop), "it has ended")
    assert (await ask(shop, "POST", path, {}, headers=headers))[1]["id"] == first
    status, document = await ask(shop, "POST", f"{APP}/migrations/run", {}, headers=headers)
    assert (status, document["kind"]) == (409, "duplicate-key")


async def _is_idle(stack: Stack) -> bool:
    return (await ask(stack, "GET", APP))[1]["operation"] is None


async def test_refused_while_another_operation_runs(shop: Stack) -> None:
    waiting = section(ALL, rehearse=False).replace(BACKUP, f"{BACKUP}{WAITING}")
    await rewrite(shop, waiting)
    backing_up = await shop.start_cli("backup", "create")
    await eventually((shared(shop) / "begun").exists, "the backup runs")
    answer = await shop.cli("migrations", "run")
    assert answer.status == 4
    assert "backup" in answer.err
    (shared(shop) / "go").touch()
    await backing_up.communicate()
    assert backing_up.returncode == 0


async def test_what_the_app_file_does_not_say_is_refused(shop: Stack) -> None:
    await rewrite(shop, section(CHECK))
    answer = await shop.cli("migrations", "rollback")
    assert answer.status == 1
    assert "[migrations] has no rollback" in answer.err
