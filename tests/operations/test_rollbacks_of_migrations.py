"""``rollback --to``: what came after the older release is undone by name, once that serves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.operations.data import backups, listed
from tests.operations.migrations import (
    CHECK,
    RUN,
    applied,
    last,
    phase,
    rehearsals,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.writes import writing
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built)
        yield built


async def test_under_writes_the_migrations_of_two_releases_are_undone_newest_first(
    shop: Stack,
) -> None:
    before = schema(shop)
    await shop.deploy("v4-slow")
    await shop.deploy("v4-notes")
    assert await applied(shop) == ["0005_slow", "0001_audit_logs", "0002_notes"]
    async with writing(shop) as writes:
        answer = await shop.cli("rollback", "monitor", "--to", "v2")
        assert answer.status == 0, answer.out + answer.err
        await writes.some_more()
    writes.expect_none_lost()
    operation = await last(shop)
    assert phase(operation, "reverse")["data"]["rolled_back"] == [
        "0002_notes", "0001_audit_logs", "0005_slow",
    ]  # fmt: skip
    assert "not rehearsed, as another release applied it: 0005_slow" in answer.out
    newest = (await listed(shop))[0]
    assert (newest["id"], newest["reason"]) == (
        operation["id"], "before the migrations after v2 are rolled back",
    )  # fmt: skip
    after = schema(shop)
    del after["schema_migrations"]
    assert after == before
    assert await applied(shop) == []
    assert not rehearsals(shop)

    # The newer release is no way back any more: it does not know the older schema.
    status = await shop.status()
    assert status["slots"][shop.marker()]["version"] == "v2"
    assert status["switch_back"]["how"] == "impossible"
    assert "0001_audit_logs, 0002_notes are rolled back" in status["switch_back"]["says"]
    refused = await shop.cli("switch", "back")
    assert refused.status == 1
    assert "bluegreen deploy monitor v4-notes" in refused.err
    await shop.deploy("v4-notes")
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]


async def test_without_a_rollback_command_it_is_refused_with_the_way_that_is_left(
    shop: Stack,
) -> None:
    await shop.deploy("v4-audit")
    number = (await last(shop))["id"]
    await rewrite(shop, section(CHECK + RUN))
    answer = await shop.cli("rollback", "monitor", "--to", "v2")
    assert answer.status == 1
    assert "0001_audit_logs came after v2, and [migrations] has no rollback" in answer.err
    assert f"bluegreen rollback monitor --restore {number}" in answer.err
    (backups(shop) / str(number) / "manifest.json").write_text("{}")
    gone = await shop.cli("rollback", "monitor", "--to", "v2")
    assert f"--restore {number}" not in gone.err
    assert "bluegreen backup list monitor, then: bluegreen rollback monitor --restore" in gone.err
    assert [one["phase"] for one in (await last(shop))["phases"]] == ["preflight"]
    assert await applied(shop) == ["0001_audit_logs"]


async def test_what_fails_in_its_rehearsal_leaves_data_and_traffic_to_the_older_release(
    shop: Stack,
) -> None:
    await shop.deploy("v4-delete")
    before = schema(shop)
    async with writing(shop) as writes:
        answer = await shop.cli("rollback", "monitor", "--to", "v2")
        await writes.some_more()
    writes.expect_none_lost()
    assert answer.status == 1
    assert "in the rehearsal" in answer.err
    assert "applied, and still so: 0007_delete" in answer.err
    assert "v2 serves, with the schema as it is now" in answer.err
    assert schema(shop) == before
    assert not rehearsals(shop)
    status = await shop.status()
    assert status["slots"][shop.marker()]["version"] == "v2"
    assert (await shop.cli("switch", "back")).status == 0  # its schema is still there


async def test_what_fails_in_the_middle_is_applied_again(shop: Stack) -> None:
    await rewrite(shop, section(rehearse=False))
    await shop.deploy("v4-delete")
    await shop.deploy("v4-notes")
    before = schema(shop)
    async with writing(shop) as writes:
        answer = await shop.cli("rollback", "monitor", "--to", "v2")
        await writes.some_more()
    writes.expect_none_lost()
    assert answer.status == 1
    assert "rolled back, and applied again: 0001_audit_logs, 0002_notes" in answer.err
    assert schema(shop) == before
    assert await applied(shop) == ["0007_delete", "0001_audit_logs", "0002_notes"]
    assert (await shop.status())["slots"][shop.marker()]["version"] == "v2"
    # And by hand, as it says.
    assert (await shop.cli("migrations", "rollback", "monitor")).status == 0
    assert await applied(shop) == ["0007_delete", "0001_audit_logs"]
