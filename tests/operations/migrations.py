"""The sample app with migrations, and what is seen of its data."""

from __future__ import annotations

import shlex
import sqlite3
import sys
from contextlib import closing
from typing import Any

from bluegreen.slots.stamp import stamp_of
from tests.operations.asking import ask
from tests.operations.data import OPTIONS, add_servers, shared
from tests.operations.killing import APP
from tests.stack import Stack

BACKUP = """
[backup]
sqlite = ["data/servers.db"]
keep = 3
"""
_PYTHON = f"{shlex.quote(sys.executable)} -m monitor.migrations"
CHECK = f"check = '''{_PYTHON} check'''\n"
RUN = f"run = '''{_PYTHON} run'''\n"
ROLLBACK = f"rollback = '''{_PYTHON} rollback {{name}}'''\n"
MARK = f"mark_applied = '''{_PYTHON} mark-applied {{name}}'''\n"
FAIL_ON = 'fail_on = "\\\\[(FATAL|ERROR)\\\\]"\n'
ALL = CHECK + RUN + ROLLBACK + MARK + FAIL_ON


def section(keys: str = ALL, *, rehearse: bool = True) -> str:
    """``[backup]`` and ``[migrations]``."""
    rehearsal = "" if rehearse else "rehearse = false\n"
    return f'{BACKUP}\n[migrations]\nmode = "online"\ntimeout = "30s"\n{keys}{rehearsal}'


async def serve(stack: Stack, extra: str | None = None, **options: Any) -> None:
    """Serve v2 with two servers in its data."""
    stack.write_app(extra=section() if extra is None else extra, **OPTIONS | options)
    await stack.serve()
    await stack.deploy("v2")
    add_servers(stack, "old one", "first")


async def rewrite(stack: Stack, extra: str, **options: Any) -> None:
    """Let the app file say something else from now on."""
    stack.write_app(extra=extra, **OPTIONS | options)
    answer = await stack.cli("reload")
    assert answer.status == 0, answer.err


def schema(stack: Stack) -> dict[str, list[str]]:
    """The columns of each table of the real data."""
    with closing(sqlite3.connect(shared(stack) / "data/servers.db", timeout=30)) as connection:
        tables = [
            n for (n,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")
        ]
        return {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            for table in tables
        }


async def applied(stack: Stack) -> list[str]:
    """The names that the history has as applied."""
    status, document = await ask(stack, "GET", f"{APP}/migrations")
    assert status == 200, document
    return [one["name"] for one in document["applied"]]


async def last(stack: Stack) -> Any:
    """The latest operation, with its phases."""
    newest = (await ask(stack, "GET", f"{APP}/operations?limit=1"))[1]["operations"][0]
    return (await ask(stack, "GET", f"/v1/operations/{newest['id']}"))[1]


def phase(operation: Any, name: str) -> Any:
    """One phase of an operation, as the API shows it."""
    (found,) = [one for one in operation["phases"] if one["phase"] == name]
    return found


def rehearsals(stack: Stack) -> list[str]:
    """Copies of data that are left in trees, and trees of releases whose links lead to one."""
    trees = [path for path in stack.layout.app("monitor").trees.iterdir() if path.is_dir()]
    return [
        str(tree)
        for tree in trees
        if (tree / ".bluegreen-rehearsal").exists()
        or (stamp_of(tree).exists() and "rehearsal" in str((tree / "data").readlink()))
    ]
