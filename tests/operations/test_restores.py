"""Restores: refused, asked about, done, and undone, through the real daemon."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.cli.terminal import on_terminal
from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of
from tests.operations.data import (
    OPTIONS,
    SECTION,
    back_up,
    backups,
    change_and_stop,
    fill,
    leftovers,
    listed,
    servers,
    shared,
    uploads,
)
from tests.operations.killing import APP
from tests.stack import Stack
from tests.waiting import eventually

CHANGED = {"deep/a.txt": "changed", "b.txt": "more"}


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    await fill(empty)
    return empty


def expect_the_changed_data(stack: Stack) -> None:
    assert servers(stack) == ["first", "second", "third"]
    assert uploads(stack) == CHANGED
    assert not leftovers(stack)


def expect_the_first_data(stack: Stack) -> None:
    assert servers(stack) == ["first"]
    assert uploads(stack) == {"deep/a.txt": "first"}
    assert not leftovers(stack)


async def test_a_restore_puts_data_back_and_backs_up_what_it_replaces(shop: Stack) -> None:
    number = await back_up(shop)
    await change_and_stop(shop)
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert "servers: 3 rows now, 1 row then" in answer.out
    assert "uploads: 2 files now, 1 then" in answer.out
    assert not list(shared(shop).glob("data/servers.db-*"))
    expect_the_first_data(shop)
    newest, _ = await listed(shop)
    assert newest["reason"] == f"before the restore of backup {number}"
    assert newest["sqlite"]["data/servers.db"]["servers"] == 3
    await agreement(shop, closed=True)
    assert (await shop.cli("start")).status == 0
    await agreement(shop)
    # And back: nothing was lost.
    assert (await shop.cli("stop")).status == 0
    answer = await shop.cli("backup", "restore", "--yes")
    assert answer.status == 0, answer.out + answer.err
    expect_the_changed_data(shop)


async def test_a_restore_of_an_app_that_serves_is_refused(shop: Stack) -> None:
    number = await back_up(shop)
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "monitor serves, and a restore would take its data from under it" in answer.err
    assert "Next: take it out of service first: bluegreen stop monitor" in answer.err
    status, document = await ask(shop, "POST", f"{APP}/backups/{number}/restore", {})
    assert (status, document["kind"]) == (409, "refused")
    assert len(await history_of(shop)) == 2


async def test_a_restore_is_refused_while_a_release_runs_behind_the_closed_door(
    shop: Stack,
) -> None:
    number = await back_up(shop)
    assert (await shop.cli("stop")).status == 0
    await shop.deploy("v2")
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "monitor runs" in answer.err
    assert "running: web of green, api of green" in answer.err


async def test_a_damaged_backup_is_not_restored(shop: Stack) -> None:
    number = await back_up(shop)
    archive = backups(shop) / str(number) / "files.tar.gz"
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    await change_and_stop(shop)
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert f"backup {number} is damaged, and nothing was restored" in answer.err
    assert str(archive) in answer.err
    expect_the_changed_data(shop)
    assert len(await listed(shop)) == 1
    await agreement(shop, closed=True)


async def test_an_unknown_backup_is_not_found(shop: Stack) -> None:
    answer = await shop.cli("backup", "restore", "77", "--yes")
    assert answer.status == 2
    assert "monitor has no backup 77" in answer.err


async def test_a_damaged_database_is_replaced_and_kept_as_it_was(shop: Stack) -> None:
    number = await back_up(shop)
    await change_and_stop(shop)
    database = shared(shop) / "data/servers.db"
    for beside in database.parent.glob("servers.db-*"):
        beside.unlink()
    database.write_bytes(b"no database any more" * 1000)
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert "the database servers.db is damaged" in answer.out
    expect_the_first_data(shop)
    newest, _ = await listed(shop)
    assert (newest["good"], newest["damaged"]) == (False, ["data/servers.db"])
    kept = backups(shop) / str(newest["id"]) / "damaged/data/servers.db"
    assert kept.read_bytes() == b"no database any more" * 1000
    answer = await shop.cli("backup", "restore", str(newest["id"]), "--yes")
    assert answer.status == 1
    assert "holds databases that were damaged" in answer.err


async def test_data_that_are_gone_come_back(shop: Stack) -> None:
    number = await back_up(shop)
    await change_and_stop(shop)
    for path in sorted(shared(shop).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    answer = await shop.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    expect_the_first_data(shop)


async def test_without_a_terminal_it_takes_yes(shop: Stack) -> None:
    answer = await shop.cli("backup", "restore")
    assert answer.status == 2
    assert "add --yes" in answer.err


@pytest.mark.parametrize(("typed", "restored"), [("no", False), ("yes", True)])
async def test_on_a_terminal_it_asks(shop: Stack, typed: str, restored: bool) -> None:
    number = await back_up(shop)
    await change_and_stop(shop)
    async with on_terminal(shop, "backup", "restore", str(number)) as terminal:
        await terminal.until(lambda shown: b"Type yes: " in shown)
        assert b"servers: 3 rows now, 1 row then" in terminal.shown
        os.write(terminal.descriptor, f"{typed}\n".encode())
        assert await terminal.ended() == (0 if restored else 1)
    (expect_the_first_data if restored else expect_the_changed_data)(shop)


COMMANDS = (
    SECTION
    + """
command = "cat {shared_dir}/kv"
restore_command = "cat > {shared_dir}/kv; test ! -e {shared_dir}/broken"
"""
)


@pytest.fixture
async def commanded(empty: Stack) -> Stack:
    """What its command prints is a file, and so is what its restore_command reads."""
    await fill(empty, COMMANDS)
    (shared(empty) / "kv").write_text("then")
    return empty


async def test_what_a_command_printed_is_given_to_the_restore_command(commanded: Stack) -> None:
    number = await back_up(commanded)
    await change_and_stop(commanded)
    (shared(commanded) / "kv").write_text("now")
    answer = await commanded.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    assert (shared(commanded) / "kv").read_text() == "then"
    expect_the_first_data(commanded)


async def test_a_restore_command_that_fails_has_everything_put_back(commanded: Stack) -> None:
    number = await back_up(commanded)
    await change_and_stop(commanded)
    (shared(commanded) / "kv").write_text("now")
    (shared(commanded) / "broken").touch()
    answer = await commanded.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "command (sh) failed: exit status 1" in answer.err
    assert (shared(commanded) / "kv").read_text() == "now"
    assert servers(commanded) == ["first", "second", "third"]


async def test_without_a_restore_command_what_a_command_printed_is_not_restored(
    commanded: Stack,
) -> None:
    number = await back_up(commanded)
    await change_and_stop(commanded)
    lines = COMMANDS.splitlines()
    without = "\n".join(line for line in lines if not line.startswith("restore_command"))
    commanded.write_app(extra=f"{without}\n", **OPTIONS)
    await commanded.reload()
    answer = await commanded.cli("backup", "restore", str(number), "--yes")
    assert answer.status == 1
    assert "write a restore_command in [backup]" in answer.err
    assert "command.out" in answer.err
    expect_the_changed_data(commanded)


async def test_a_restore_that_is_cancelled_in_the_middle_leaves_the_data(
    empty: Stack,
) -> None:
    waiting = COMMANDS.replace(
        "test ! -e {shared_dir}/broken",
        "touch {shared_dir}/begun; while [ -e {shared_dir}/hold ]; do sleep 0.05; done",
    )
    await fill(empty, waiting)
    (shared(empty) / "kv").write_text("then")
    number = await back_up(empty)
    await change_and_stop(empty)
    (shared(empty) / "kv").write_text("now")
    (shared(empty) / "hold").touch()
    restoring = asyncio.create_task(empty.cli("backup", "restore", str(number), "--yes"))
    await eventually((shared(empty) / "begun").exists, "the command restores")
    refused = await empty.cli("start")
    assert refused.status == 4
    cancelling = asyncio.create_task(empty.cli("cancel"))
    await eventually(lambda: (shared(empty) / "kv").read_text() == "now", "it is put back")
    (shared(empty) / "hold").unlink()
    assert (await cancelling).status == 0
    assert (await restoring).status == 1
    assert (await history_of(empty))[0]["state"] == "cancelled"
    expect_the_changed_data(empty)
    await agreement(empty, closed=True)
