"""Do marker, nginx, store, links and processes tell the same story?"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from bluegreen.errors import TrafficError
from bluegreen.model import PhaseState
from bluegreen.slots.stamp import read_stamp
from bluegreen.traffic.confirmation import Confirmation
from tests.marks import marker_names
from tests.operations.asking import ask, history_of, status_of
from tests.stack import Stack
from tests.waiting import PATIENCE, eventually

_ENDED = {PhaseState.DONE, PhaseState.UNDONE, PhaseState.FAILED}
_PROCESS = {"running", "backoff", "stopping"}


async def agreement(stack: Stack, app: str = "monitor", *, closed: bool = False) -> Any:
    """Wait until nothing runs any more and all agree; the app's status then.

    AssertionError says who disagreed at last. ``closed``: the app is out of service.
    """
    last: list[str] = []

    async def agree() -> bool:
        last[:] = await disagreements(stack, app, closed=closed)
        return not last

    try:
        await eventually(agree, "all agree")
    except AssertionError as error:
        log = stack.daemon_log.read_text().splitlines()[-30:]
        raise AssertionError("\n".join(["they disagree:", *last, "", *log])) from error
    return await status_of(stack, app)


async def disagreements(stack: Stack, app: str, *, closed: bool) -> list[str]:
    """One line for each of two who do not agree."""
    status = await status_of(stack, app)
    if status["operation"] is not None:
        return [f"operation {status['operation']['id']} is running"]
    markers = sorted(marker_names(stack.layout.app(app).traffic))
    found = [] if (status["closed"], "closed" in markers) == (closed, closed) else ["open, closed?"]
    active = [name for name in markers if name != "closed"]
    if active != [status["active"]]:
        return [*found, f"markers {markers}, and {status['active']} is said to be active"]
    found += await _nginx(stack, app, status, closed=closed)
    found += await _history(stack, app)
    found += _slots(stack, app, status, closed=closed)
    # Every process of this machine is looked at: not as long as it makes no difference.
    return found or await asyncio.to_thread(_processes, stack, app, status)


async def _nginx(stack: Stack, app: str, status: Any, *, closed: bool) -> list[str]:
    active = status["active"]
    try:
        said = await Confirmation(stack.layout.nginx_socket, stack.layout.remedies).ask(app)
    except TrafficError as error:
        return [error.message]
    found = []
    if (said.app, said.slot, said.closed) != (app, active, closed):
        found.append(f"nginx says {said}, the marker {active}")
    rendered = (stack.layout.nginx / "slots" / f"{app}.conf").read_text()
    if f"# active: {active}\n" not in rendered:
        found.append(f"nginx's file does not name {active}: {rendered}")
    wanted = (503, None, None) if closed else (200, active, status["slots"][active]["version"])
    for method, path in (("GET", "/api/health"), ("POST", "/api/echo")):
        answer = await _through_the_site(stack.url(app) + path, method)
        if answer != wanted:
            found.append(f"{method} {path} was answered {answer} and not {wanted}")
    return found


async def _through_the_site(url: str, method: str) -> tuple[int, Any, Any]:
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.request(method, url) as response,
    ):
        if response.status != 200:
            return response.status, None, None
        document = await response.json()
        return response.status, document["slot"], document["version"]


async def _history(stack: Stack, app: str) -> list[str]:
    found = []
    for operation in (await history_of(stack, app))[:2]:
        number, state = operation["id"], operation["state"]
        if state in ("queued", "running"):
            found.append(f"operation {number} is {state}, and nothing runs")
        document = (await ask(stack, "GET", f"/v1/operations/{number}"))[1]
        for phase in document.get("phases", ()):
            if phase["state"] not in _ENDED:
                found.append(f"{phase['phase']} of operation {number} is left {phase['state']}")
            elif state == "succeeded" and phase["state"] != PhaseState.DONE:
                found.append(f"{phase['phase']} of a success is {phase['state']}")
    return found


def _slots(stack: Stack, app: str, status: Any, *, closed: bool) -> Iterator[str]:
    """The store's records, the slots' links, the trees' stamps, and what the daemon says."""
    with closing(_read_only(stack.layout.database)) as store:
        rows = store.execute("SELECT * FROM slots WHERE app = ?", (app,)).fetchall()
        gated = {operation for (operation,) in store.execute(_GATED, (app,))}
    records = {row["slot"]: row for row in rows}
    if not closed and records[status["active"]]["state"] != "hot":
        yield f"{status['active']} serves and is {records[status['active']]['state']}"
    for slot, record in records.items():
        state = record["state"]
        said = status["slots"][slot]
        if (state, record["version"]) != (said["state"], said["version"]):
            yield f"{slot} is {state} in the store and {said['state']} in the daemon"
        link = stack.layout.app(app).slots / slot
        tree = Path(os.readlink(link)) if link.is_symlink() else None
        if (str(tree) if tree else None) != record["tree"]:
            yield f"{slot} links to {tree}, and {record['tree']} is recorded"
        stamp = read_stamp(tree) if tree is not None else None
        if tree is not None and (stamp is None or stamp.version != record["version"]):
            yield f"{slot} is {record['version']}, its tree {stamp}"
        if state == "starting":
            yield f"{slot} is being started"
        if state == "hot" and (record["gated_by"] not in gated or not said["ready"]):
            yield f"{slot} is hot, gated by {record['gated_by']}, ready: {said['ready']}"


_GATED = (
    "SELECT operation FROM phases INNER JOIN operations ON operations.id = phases.operation"
    " WHERE app = ? AND phase = 'gate' AND phases.state = 'done'"
)


def _read_only(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    return connection


def _processes(stack: Stack, app: str, status: Any) -> list[str]:
    """Every process of this root is recorded, and runs where and only where one should."""
    recorded = {process.pid for process in stack.live_processes()}
    if (gate := stack.layout.gate_record).exists():
        recorded.add(json.loads(gate.read_text())["session"]["leader"]["pid"])
    found = [
        f"process {pid} is nobody's: {command}"
        for pid, command in _of_root(stack)
        if pid not in recorded
    ]
    files = {path.stem for path in stack.layout.process_records.glob("*.json")}
    wanted = set()
    for slot, held in status["slots"].items():
        for name, service in held["services"].items():
            runs = service["state"] in _PROCESS
            serves = slot == status["active"] and not status["closed"]
            if runs != (held["state"] == "hot" and (serves or not service["exclusive"])):
                found.append(f"{slot} is {held['state']} and its {name} {service['state']}")
            if runs:
                wanted.add(f"unit-{app}.{slot}.{name}")
            if runs and service["pid"] not in recorded:
                found.append(f"{name} of {slot}, pid {service['pid']}, is not recorded")
    if files != wanted:
        found.append(f"records {sorted(files)}, and {sorted(wanted)} should run")
    return found


def _of_root(stack: Stack) -> Iterator[tuple[int, str]]:
    """The processes that work in this root, but for its daemon and its nginx."""
    inside = re.compile(rf"{re.escape(str(stack.root))}(/|\b)")
    daemon = stack.daemon.pid if stack.daemon is not None else None
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
            place = process.cwd() if process.pid != os.getpid() else ""
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        ours = inside.search(place) or inside.search(command)
        if ours and process.pid != daemon and not command.startswith("nginx:"):
            yield process.pid, command
