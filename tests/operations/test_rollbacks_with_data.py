"""``rollback --restore``: the release that made a backup, and its data."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.operations.asking import ask
from tests.operations.data import add_servers, leftovers, listed, servers
from tests.operations.killing import APP, Point, come_to
from tests.operations.ledger import Ledger
from tests.operations.migrations import applied, last, rewrite, schema, section, serve
from tests.operations.standstill import held
from tests.operations.test_hold_without_a_way_back import fails_with_what_served_late
from tests.operations.writes import writing
from tests.stack import Stack, stack

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v4-delete serves; its deploy has backed up what v2 served on."""
    async with stack() as built:
        await serve(built)
        await built.deploy("v4-delete")
        yield built


async def test_release_and_data_come_back_and_what_is_lost_was_said(shop: Stack) -> None:
    number = (await last(shop))["id"]
    add_servers(shop, "written since")
    refused = await shop.cli("rollback", "monitor", "--restore", str(number))
    assert refused.status == 2
    assert f"bluegreen rollback APP --restore {number} --yes" in refused.err
    async with writing(shop) as writes:
        await writes.some_more()
        answer = await shop.cli("rollback", "monitor", "--restore", str(number), "--yes")
        assert answer.status == 0, answer.out + answer.err
    assert "servers:" in answer.out
    assert "Requests of monitor wait until v2 has passed its gate on these data" in answer.out
    # They waited; then the sessions are those of the backup, too.
    assert {failure.rpartition(": ")[2] for failure in writes.failures} <= {"401"}
    there = servers(shop)
    assert there[:2] == ["old one", "first"]
    assert "written since" not in there
    assert await applied(shop) == []
    status = await shop.status()
    assert status["slots"][shop.marker()]["version"] == "v2"
    assert not status["closed"]
    assert not leftovers(shop)
    # What was replaced is a backup, with every write that was acknowledged before.
    replaced = (await listed(shop))[0]
    assert replaced["reason"] == f"before the restore of backup {number}"
    gone = [name for name in writes.acknowledged if name not in there]
    answer = await shop.cli("rollback", "monitor", "--restore", str(replaced["id"]), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert {*gone, "written since"} <= set(servers(shop))
    assert (await shop.status())["slots"][shop.marker()]["version"] == "v4-delete"
    assert await applied(shop) == ["0007_delete"]


async def test_what_fails_puts_data_and_the_newer_release_back(shop: Stack) -> None:
    number = (await last(shop))["id"]
    add_servers(shop, "written since")
    before, tables = servers(shop), schema(shop)
    async with writing(shop) as unnoticed:
        await unnoticed.some_more()
        # Requests wait for one that does not come up at once, too.
        await fails_with_what_served_late(
            shop, "rollback", "monitor", "--to", "v3-unhealthy", "--restore", str(number), "--yes"
        )
    unnoticed.expect_none_lost()
    assert (servers(shop)[: len(before)], schema(shop)) == (before, tables)
    assert not leftovers(shop)
    status = await shop.status()
    assert not status["closed"]
    assert status["slots"][shop.marker()]["version"] == "v4-delete"
    assert await applied(shop) == ["0007_delete"]
    async with writing(shop) as writes:
        await writes.some_more()
    writes.expect_none_lost()


async def test_a_cancel_once_it_is_open_comes_too_late(shop: Stack) -> None:
    """All of it is done, down to what the store knows of the data: never half."""
    number = (await last(shop))["id"]
    open_now = Point(step="unlink*/traffic/special/closed", moved=True, ends=None)
    body = {"restore": number}
    with tempfile.TemporaryDirectory() as scratch:
        ledger = await asyncio.to_thread(Ledger, shop.layout.database, Path(scratch))
        async with held(shop) as standstill:
            asking = asyncio.create_task(ask(shop, "POST", f"{APP}/rollback", body))
            await come_to(open_now, shop, standstill, ledger)
            cancelling = asyncio.create_task(ask(shop, "POST", f"{APP}/cancel", {}))
    assert (await asking)[0] == 202
    status, operation = await cancelling
    assert (status, operation["state"]) == (200, "succeeded")
    assert not leftovers(shop)
    assert await applied(shop) == []
    status = await shop.status()
    assert not status["closed"]
    assert status["slots"][shop.marker()]["version"] == "v2"
    replaced = (await listed(shop))[0]["id"]
    answer = await shop.cli("rollback", "monitor", "--restore", str(replaced), "--yes")
    assert answer.status == 0, answer.out + answer.err


async def test_an_app_that_is_out_of_service_comes_back_with_it(shop: Stack) -> None:
    number = (await last(shop))["id"]
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("rollback", "monitor", "--restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    status = await shop.status()
    assert not status["closed"]
    assert status["slots"][shop.marker()]["version"] == "v2"


async def test_of_a_backup_that_there_is_not_nothing_is_begun(shop: Stack) -> None:
    number = (await last(shop))["id"]
    status, document = await ask(shop, "POST", f"{APP}/rollback", {"restore": 99})
    assert (status, document["kind"]) == (404, "not-found")
    status, document = await ask(shop, "POST", f"{APP}/rollback", {"restore": 0})
    assert status == 400
    assert (await last(shop))["id"] == number


async def test_a_restore_alone_says_which_migrations_the_data_have(shop: Stack) -> None:
    number = (await last(shop))["id"]
    await rewrite(shop, section())
    assert (await shop.cli("stop")).status == 0
    assert (await shop.cli("backup", "restore", "monitor", str(number), "--yes")).status == 0
    assert await applied(shop) == []
