"""Backups of an app that serves, and restores of one that does not, through the real daemon."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.operations.agreement import agreement
from tests.stack import Stack

SECTION = """
[backup]
sqlite = ["data/servers.db"]
files = ["uploads"]
keep = 2
"""


@pytest.fixture
async def shop(empty: Stack) -> Stack:
    empty.write_app(services=("web", "api"), extra=SECTION, watch="0s")
    shared = empty.layout.app("monitor").shared
    (shared / "uploads/deep").mkdir(parents=True)
    (shared / "uploads/deep/a.txt").write_text("first")
    (shared / "uploads/link").symlink_to("deep/a.txt")
    await empty.serve()
    await empty.deploy("v1")
    return empty


def database(stack: Stack) -> Path:
    (found,) = (stack.layout.app("monitor").shared / "data").glob("*.db")
    return found


def add(stack: Stack, count: int) -> None:
    with closing(sqlite3.connect(database(stack), isolation_level=None)) as connection:
        connection.executemany(
            "INSERT INTO servers (name, address, added_by_slot) VALUES (?, 'x', 'blue')",
            [(str(number),) for number in range(count)],
        )


async def test_smoke(shop: Stack) -> None:
    print(database(shop))
    add(shop, 5)
    answer = await shop.cli("backup", "create", "monitor")
    print(answer.out, answer.err)
    print((await shop.cli("backup", "list")).out)
    print((await shop.cli("backup", "verify")).out)
    add(shop, 3)
    (shop.layout.app("monitor").shared / "uploads/deep/b.txt").write_text("more")
    answer = await shop.cli("backup", "restore", "2", "--yes")
    print(answer.out, answer.err)
    print((await shop.cli("stop")).out)
    answer = await shop.cli("backup", "restore", "2", "--yes")
    print(answer.out, answer.err)
    print((await shop.cli("start")).out)
    print((await shop.cli("history")).out)
    print(sorted(str(p) for p in shop.layout.app("monitor").shared.rglob("*")))
    print(sorted(str(p) for p in shop.layout.app("monitor").backups.rglob("*")))
    await agreement(shop)
    assert 0
