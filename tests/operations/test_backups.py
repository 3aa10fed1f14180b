"""Backups of an app that serves, through the real daemon."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import sqlite3
from contextlib import closing

import pytest

from tests.data.test_databases import written_to
from tests.mounts import mounted_tmpfs, read_only
from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, status_of
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
)
from tests.operations.killing import APP
from tests.stack import Stack
from tests.waiting import eventually


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    await fill(empty)
    return empty


async def rewrite(stack: Stack, section: str, **options: object) -> None:
    stack.write_app(extra=section, **OPTIONS | options)
    await stack.reload()


async def test_a_backup_while_the_app_writes_is_of_one_instant_and_verified(shop: Stack) -> None:
    database = shared(shop) / "data/servers.db"
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        for table in ("one", "two"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, text TEXT)")
    with written_to(database):
        answer = await shop.cli("backup", "create")
    assert answer.status == 0, answer.out + answer.err
    assert "data/servers.db: " in answer.out
    assert "verified: " in answer.out
    (backup,) = await listed(shop)
    rows = backup["sqlite"]["data/servers.db"]
    assert rows["one"] == rows["two"] > 0
    assert rows["servers"] == 1
    assert backup["files"] == {"uploads": {"files": 1, "bytes": 5}}
    assert (backup["good"], backup["version"], backup["reason"]) == (True, "v1", "asked for")
    said = (await shop.cli("backup", "list")).out
    assert f"{backup['id']:>5}" in said
    assert "1 file in uploads" in said
    assert (
        await shop.cli("backup", "verify")
    ).out == f"backup {backup['id']} of monitor: verified\n"
    directory = backups(shop) / str(backup["id"])
    assert directory.stat().st_mode & 0o777 == 0o700
    operation = (await history_of(shop))[0]
    assert (operation["kind"], operation["state"], operation["slot"]) == (
        "backup", "succeeded", None,
    )  # fmt: skip
    await agreement(shop)


async def test_the_log_of_a_backup_is_kept(shop: Stack) -> None:
    number = await back_up(shop)
    answer = await shop.cli("logs", "monitor", str(number), "--phase", "backup")
    assert "backup-files | data/servers.db: " in answer.out
    assert "backup-verify | verified: " in answer.out


async def test_the_newest_stay(shop: Stack) -> None:
    await rewrite(shop, f"{SECTION}keep = 2\n")
    made = [await back_up(shop) for _ in range(3)]
    assert [backup["id"] for backup in await listed(shop)] == [made[2], made[1]]
    assert sorted(path.name for path in backups(shop).iterdir()) == sorted(map(str, made[1:]))
    (phase,) = [
        phase
        for phase in (await ask(shop, "GET", f"/v1/operations/{made[2]}"))[1]["phases"]
        if phase["phase"] == "settle"
    ]
    assert phase["data"] == {"removed": [made[0]]}


async def test_a_backup_that_fails_leaves_the_others_and_nothing_else(shop: Stack) -> None:
    await rewrite(shop, f"{SECTION}keep = 1\n")
    good = await back_up(shop)
    await rewrite(shop, SECTION.replace('"uploads"', '"none"') + "keep = 1\n")
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    assert "there is no file or directory none in" in answer.err
    assert "Next: correct its path in [backup]" in answer.err
    assert [path.name for path in backups(shop).iterdir()] == [str(good)]
    await agreement(shop)


async def test_an_app_without_the_section_is_told_what_to_add(shop: Stack) -> None:
    await rewrite(shop, "")
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    assert "does not say what is to be backed up" in answer.err
    assert "add [backup] to" in answer.err
    assert f"then: bluegreen --root {shop.root} reload" in answer.err
    assert "no backups" in (await shop.cli("backup", "list")).out
    answer = await shop.cli("backup", "verify")
    assert answer.status == 2
    assert "make one: bluegreen backup create monitor" in answer.err


async def test_a_damaged_backup_is_found_and_its_file_named(shop: Stack) -> None:
    number = await back_up(shop)
    copy = backups(shop) / str(number) / "sqlite/data/servers.db"
    data = bytearray(copy.read_bytes())
    data[5000] ^= 1
    copy.write_bytes(data)
    answer = await shop.cli("backup", "verify", str(number))
    assert answer.status == 1
    assert "DAMAGED" in answer.out
    assert f"{copy} is damaged: its SHA-256 is not the one that was written" in answer.out
    assert "Next: " in answer.out
    answer = await shop.cli("backup", "verify", str(number), "--json")
    assert answer.status == 1
    assert answer.document["backups"][0]["verified"] is False


async def begun(stack: Stack) -> asyncio.Task[object]:
    """A backup whose command waits for the file ``go``."""
    await rewrite(stack, SECTION + WAITING)
    creating: asyncio.Task[object] = asyncio.create_task(stack.cli("backup", "create"))
    await eventually((shared(stack) / "begun").exists, "the command runs")
    return creating


async def test_a_switch_back_neither_waits_for_a_backup_nor_ends_it(shop: Stack) -> None:
    await shop.deploy("v2")
    creating = await begun(shop)
    assert (await status_of(shop))["operation"]["kind"] == "backup"
    busy = await shop.cli("deploy", "monitor", "v1")
    assert busy.status == 4
    assert "(backup, phase backup)" in busy.err
    back = await shop.cli("switch", "back")
    assert back.status == 0, back.err
    assert shop.marker() == "blue"
    assert (await status_of(shop))["operation"]["kind"] == "backup"
    (shared(shop) / "go").touch()
    await creating
    assert [(one["kind"], one["state"]) for one in (await history_of(shop))[:2]] == [
        ("switch", "succeeded"), ("backup", "succeeded"),
    ]  # fmt: skip
    backup, _ = await listed(shop)  # and that of the deploy
    assert (backups(shop) / str(backup["id"]) / "command.out").read_text() == "x\n"


async def test_a_backup_that_is_cancelled_leaves_nothing(shop: Stack) -> None:
    creating = await begun(shop)
    (draft,) = backups(shop).iterdir()
    assert (draft / "sqlite/data/servers.db").exists()
    assert (await shop.cli("cancel")).status == 0
    await creating
    assert not list(backups(shop).iterdir())
    assert (await history_of(shop))[0]["state"] == "cancelled"
    await agreement(shop)


async def test_a_backup_that_takes_too_long_is_ended_and_says_so(shop: Stack) -> None:
    await rewrite(shop, SECTION + WAITING + 'timeout = "1s"\n')
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    # On a busy machine it may be over before it comes to the command.
    ended = r"(command \(sh\) failed|\(gather\) has not come to its end): timed out after 1 s"
    assert re.search(ended, answer.err), answer.err
    assert not list(backups(shop).iterdir())


async def test_a_daemon_that_ends_interrupts_a_backup(shop: Stack) -> None:
    creating = await begun(shop)
    assert await shop.terminate() == 0
    assert not list(backups(shop).iterdir())
    await shop.serve()
    await creating
    assert (await history_of(shop))[0]["state"] == "interrupted"
    await agreement(shop)


async def test_a_command_that_fails_is_quoted_without_its_secrets(shop: Stack) -> None:
    secret = shop.root / "secret"
    secret.write_text("correct horse battery")
    text = shop.write_app(
        extra=f'{SECTION}command = "echo half; echo $PASSWORD >&2; exit 3"\n', **OPTIONS
    )
    content = text.read_text()
    text.write_text(content.replace("[env]\n", f'[env]\nPASSWORD = {{ file = "{secret}" }}\n'))
    await shop.reload()
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    assert "command (sh) failed: exit status 3" in answer.err
    assert "***" in answer.err
    assert "horse" not in answer.err + json.dumps(await history_of(shop))
    assert not list(backups(shop).iterdir())


async def test_a_request_that_comes_again_begins_nothing(shop: Stack) -> None:
    path, key = f"{APP}/backups", {"Idempotency-Key": "nightly"}
    first = await ask(shop, "POST", path, {}, headers=key)
    again = await ask(shop, "POST", path, {}, headers=key)
    assert (first[0], first[1]["id"]) == (202, again[1]["id"])


async def test_a_disk_that_is_full_fails_it_with_the_bytes_needed(shop: Stack) -> None:
    good = await back_up(shop)
    add_servers(shop, *["x" * 1000] * 3000)
    with mounted_tmpfs(backups(shop), size="1m"):
        answer = await shop.cli("backup", "create")
        assert answer.status == 1
        assert "the disk has no room for the backup" in answer.err
        assert "MiB free on the file system of" in answer.err
        assert "MiB needed" in answer.err
        assert "Next: free some space there" in answer.err
        assert not list(backups(shop).iterdir())
        await agreement(shop)
    assert [backup["id"] for backup in await listed(shop)] == [good]
    await back_up(shop)


async def test_a_directory_that_may_not_be_written_to_fails_it_and_the_others_stay(
    shop: Stack,
) -> None:
    good = await back_up(shop)
    with read_only(backups(shop)):
        answer = await shop.cli("backup", "create")
        assert answer.status == 1
        assert "Read-only file system" in answer.err
        assert "Next: " in answer.err
        assert (await shop.cli("backup", "verify", str(good))).status == 0
        await agreement(shop)
    assert [backup["id"] for backup in await listed(shop)] == [good]


async def test_a_lost_history_gives_no_backup_the_number_of_another(shop: Stack) -> None:
    number = await back_up(shop)
    await shop.kill()
    for path in shop.layout.state.glob("bluegreen.db*"):
        path.unlink()
    for log in sorted((shop.layout.logs / "apps/monitor/operations").rglob("*"), reverse=True):
        log.rmdir() if log.is_dir() else log.unlink()
    await shop.serve()
    assert await back_up(shop) > number
    assert servers(shop) == ["first"]
    assert not leftovers(shop)


async def test_one_that_has_the_number_already_is_not_taken_for_the_new_one(shop: Stack) -> None:
    number = await back_up(shop)
    shutil.copytree(backups(shop) / str(number), backups(shop) / str(number + 1))
    answer = await shop.cli("backup", "create")
    assert answer.status == 1
    assert f"there is a backup {number + 1} already" in answer.err
    assert await back_up(shop) == number + 2
