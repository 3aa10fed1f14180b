"""The sample app with data of its own, for what is done to them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.operations.asking import ask
from tests.operations.killing import APP
from tests.stack import Stack

SECTION = """
[backup]
sqlite = ["data/servers.db"]
files = ["uploads"]
"""
# A command that ends when the test says so.
WAITING = """
command = "touch {shared_dir}/begun; while [ ! -e {shared_dir}/go ]; do sleep 0.05; done; echo x"
"""
OPTIONS: dict[str, Any] = {"services": ("web", "api"), "watch": "0s", "healthy_for": "0.1s"}


def shared(stack: Stack) -> Path:
    return stack.layout.app("monitor").shared


def backups(stack: Stack) -> Path:
    return stack.layout.app("monitor").backups


def uploads(stack: Stack) -> dict[str, str]:
    """Every file below the uploads, with its text."""
    top = shared(stack) / "uploads"
    return {
        str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()
    }


def add_servers(stack: Stack, *names: str) -> None:
    with closing(
        sqlite3.connect(shared(stack) / "data/servers.db", timeout=30, isolation_level=None)
    ) as connection:
        connection.executemany(
            "INSERT INTO servers (name, address, added_by_slot) VALUES (?, 'x', 'blue')",
            [(name,) for name in names],
        )


def servers(stack: Stack) -> list[str]:
    with closing(sqlite3.connect(shared(stack) / "data/servers.db", timeout=30)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [name for (name,) in connection.execute("SELECT name FROM servers ORDER BY id")]


def leftovers(stack: Stack) -> list[str]:
    """What a restore has left beside the data."""
    return [path.name for path in shared(stack).rglob(".*")]


async def fill(stack: Stack, section: str = SECTION, **options: Any) -> None:
    """Serve v1 with a server and an upload; no backup has been made of them yet."""
    stack.write_app(**OPTIONS | options)
    (shared(stack) / "uploads/deep").mkdir(parents=True)
    (shared(stack) / "uploads/deep/a.txt").write_text("first")
    await stack.serve()
    await stack.deploy("v1")
    add_servers(stack, "first")
    stack.write_app(extra=section, **OPTIONS | options)
    await stack.reload()


async def back_up(stack: Stack) -> int:
    """The number of a new backup."""
    answer = await stack.cli("backup", "create", "--json")
    assert answer.status == 0, answer.out + answer.err
    return int(answer.document["id"])


async def listed(stack: Stack) -> list[Any]:
    status, document = await ask(stack, "GET", f"{APP}/backups")
    assert status == 200
    found: list[Any] = document["backups"]
    return found


async def change_and_stop(stack: Stack) -> None:
    """More of everything, and then the app is out of service."""
    add_servers(stack, "second", "third")
    (shared(stack) / "uploads/deep/a.txt").write_text("changed")
    (shared(stack) / "uploads/b.txt").write_text("more")
    answer = await stack.cli("stop")
    assert answer.status == 0, answer.out + answer.err
