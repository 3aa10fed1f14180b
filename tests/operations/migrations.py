"""The sample app with migrations, and what is seen of its data."""

from __future__ import annotations

import json
import shlex
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from bluegreen.processes import ProcessIdentity
from bluegreen.slots.stamp import stamp_of
from tests.operations.asking import ask
from tests.operations.data import OPTIONS, add_servers, servers, shared
from tests.operations.killing import APP
from tests.stack import Answer, Stack
from tests.waiting import eventually

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


# What v2 does not live with once a column has another name.
SCENARIO = """
[[gate.smoke]]
name = "login"
service = "api"
http = { path = "/api/login", method = "POST", send_json = { user = "admin", password = "monitor" }, capture = { token = "token" } }

[[gate.smoke]]
name = "servers"
service = "api"
http = { path = "/api/servers", request_headers = { Authorization = "Bearer {captured.token}" } }
"""  # noqa: E501 - as one writes it
ADDS = """
[[gate.smoke]]
name = "add"
service = "api"
http = { path = "/api/servers", method = "POST", status = 201, request_headers = { Authorization = "Bearer {captured.token}" }, send_json = { name = "scenario", address = "x" } }
"""  # noqa: E501 - as one writes it


def section(keys: str = ALL, *, rehearse: bool | str = True) -> str:
    """``[backup]`` and ``[migrations]``; ``rehearse`` may be TOML."""
    value = str(rehearse).lower() if isinstance(rehearse, bool) else rehearse
    rehearsal = "" if rehearse is True else f"rehearse = {value}\n"
    return f'{BACKUP}\n[migrations]\nmode = "online"\ntimeout = "30s"\n{keys}{rehearsal}'


async def serve(stack: Stack, extra: str | None = None, **options: Any) -> None:
    """Serve v2, or ``first``, with two servers in its data."""
    first = options.pop("first", "v2")
    stack.write_app(extra=section() if extra is None else extra, **OPTIONS | options)
    await stack.serve()
    await stack.deploy(first)
    add_servers(stack, "old one", "first")


async def rewrite(stack: Stack, extra: str, **options: Any) -> None:
    """Let the app file say something else from now on."""
    stack.write_app(extra=extra, **OPTIONS | options)
    await stack.reload()


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


async def refused(stack: Stack, version: str) -> tuple[Answer, Any]:
    """The answer and the operation of a deploy that fails; v2 serves, and nothing is left over."""
    slot = stack.marker()
    answer = await stack.cli("deploy", version)
    assert answer.status == 1, answer.out + answer.err
    assert stack.marker() == slot
    assert (await stack.status())["slots"][slot]["version"] == "v2"
    assert not rehearsals(stack)
    assert {"first", "old one"} <= set(servers(stack))
    return answer, await last(stack)


def rehearsed_processes(stack: Stack) -> list[str]:
    """Records of services that run on a copy of the data."""
    pattern = "job-monitor-*-rehearse-*.json"
    return [path.name for path in stack.layout.process_records.glob(pattern)]


def rehearsals(stack: Stack) -> list[str]:
    """Copies of data that are left in trees, and trees of releases whose links lead to one."""
    trees = [path for path in stack.layout.app("monitor").trees.iterdir() if path.is_dir()]
    return [
        str(tree)
        for tree in trees
        if (tree / ".bluegreen-rehearsal").exists()
        or (stamp_of(tree).exists() and "rehearsal" in str((tree / "data").readlink()))
    ]


def _running(stack: Stack) -> Iterator[ProcessIdentity]:
    for record in stack.layout.process_records.glob("job-monitor-*-migrate-run*.json"):
        yield ProcessIdentity(**json.loads(record.read_text())["session"]["leader"])


async def begun(stack: Stack, before: int) -> ProcessIdentity:
    """Wait until v4-slow migrates, in the operation after ``before``; who leads it."""
    logs = stack.layout.app("monitor").operation_logs(before + 1) / "migrate-run.log"

    def says_so() -> bool:
        return Path(logs).exists() and "takes its time" in logs.read_text()

    await eventually(says_so, "the migration has begun")
    (leader,) = _running(stack)
    return leader
