"""Do marker, nginx, wanted marks, units, store, links and the daemon tell the same story?"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp

from bluegreen.errors import TrafficError
from bluegreen.remedies import HostRemedies
from bluegreen.slots.stamp import read_stamp
from bluegreen.traffic.confirmation import Confirmation
from tests.production.asking import latest_operation, run_file, status_of
from tests.production.production import Production
from tests.waiting import eventually

_APPS = "/var/lib/bluegreen/apps"
_ENDED = ("done", "undone", "failed")
_GATED = (
    "SELECT operation FROM phases INNER JOIN operations ON operations.id = phases.operation"
    " WHERE app = ? AND phase = 'gate' AND phases.state = 'done'"
)


async def agreement(production: Production) -> Any:
    """Wait until nothing runs any more and all agree; the app's status then.

    AssertionError says who disagreed at last.
    """
    last: list[str] = []

    async def agree() -> bool:
        try:
            last[:] = await disagreements(production)
        except aiohttp.ClientError as error:
            last[:] = [f"no daemon answers: {error}"]
        except FileNotFoundError as error:
            last[:] = [f"it has changed meanwhile: {error}"]
        return not last

    try:
        await eventually(agree, "all agree")
    except AssertionError as error:
        log = await production.host.run(
            "journalctl", "-u", "bluegreen.service", "-n", "40", "--no-pager", "-o", "short-precise"
        )
        raise AssertionError("\n".join(["they disagree:", *last, "", log.output])) from error
    status = await status_of(production)
    assert await production.served() == status["slots"][status["active"]]["version"]
    return status


async def disagreements(production: Production) -> list[str]:
    """One line for each of two who do not agree."""
    status = await status_of(production)
    if status["operation"] is not None:
        return [f"operation {status['operation']['id']} is running"]
    if starting := [s for s, held in status["slots"].items() if held["state"] == "starting"]:
        return [f"{starting} are being started"]
    active = status["active"]
    directory = production.path(f"{_APPS}/{production.app_name}/traffic")
    markers = sorted(path.name for path in directory.iterdir())
    found = [] if markers == [active] else [f"markers {markers}, and {active} is said to be active"]
    found += await _nginx(production, active)
    found += await _phases(production)
    found += _slots(production, status)
    found += _wanted(production, status)
    # What starts a process comes last.
    return found or await _units(production, status)


async def _nginx(production: Production, active: str) -> list[str]:
    try:
        said = await Confirmation(
            run_file(production, "bluegreen-nginx/nginx.sock"), HostRemedies("/")
        ).ask(production.app_name)
    except TrafficError as error:
        return [f"{error.message}: {error.detail}"]
    served = (said.app, said.slot, said.closed) == (production.app_name, active, False)
    return [] if served else [f"nginx says {said}, the daemon {active}"]


async def _phases(production: Production) -> list[str]:
    operation = await latest_operation(production)
    number, state = operation["id"], operation["state"]
    if state in ("queued", "running"):
        return [f"operation {number} is {state}, and nothing runs"]
    ended = ("done",) if state == "succeeded" else _ENDED
    return [
        f"{phase['phase']} of operation {number}, which has {state}, is {phase['state']}"
        for phase in operation["phases"]
        if phase["state"] not in ended
    ]


def _slots(production: Production, status: Any) -> Iterator[str]:
    """The store's records, the slots' links, the trees' stamps, and what the daemon says."""
    database = production.path("/var/lib/bluegreen/bluegreen.db")
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        records = store.execute(
            "SELECT * FROM slots WHERE app = ?", (production.app_name,)
        ).fetchall()
        gated = {operation for (operation,) in store.execute(_GATED, (production.app_name,))}
    if {record["slot"] for record in records} != set(status["slots"]):
        yield f"slots {[record['slot'] for record in records]} are in the store"
    for record in records:
        slot, state, said = record["slot"], record["state"], status["slots"][record["slot"]]
        if (state, record["version"]) != (said["state"], said["version"]):
            yield f"{slot} is {state} in the store and {said['state']} in the daemon"
        if slot == status["active"] and state != "hot":
            yield f"{slot} is {state}"
        if state == "hot" and (record["gated_by"] not in gated or not said["ready"]):
            yield f"{slot} is hot, gated by {record['gated_by']}, ready: {said['ready']}"
        link = production.path(f"{_APPS}/{production.app_name}/slots/{slot}")
        tree = os.readlink(link) if link.is_symlink() else None
        if tree != record["tree"]:
            yield f"{slot} links to {tree}, and {record['tree']} is recorded"
        stamp = read_stamp(Path(production.path(tree))) if tree is not None else None
        if tree is not None and (stamp is None or stamp.version != record["version"]):
            yield f"{slot} is {record['version']}, its tree {stamp}"


def _wanted(production: Production, status: Any) -> list[str]:
    """A slot that is hot, and no other, is wanted at a boot: in the version that it holds."""
    marks = {
        mark.name: mark.read_text().strip()
        for mark in production.path(f"{_APPS}/{production.app_name}/wanted").iterdir()
    }
    hot = {
        slot: held["version"] for slot, held in status["slots"].items() if held["state"] == "hot"
    }
    return [] if marks == hot else [f"wanted are {marks}, and {hot} is hot"]


async def _units(production: Production, status: Any) -> list[str]:
    """The units of hot slots run, the others are at rest, and no job is left."""
    listed = await production.host.run(
        "systemctl", "list-units", "--plain", "--no-legend", "--no-pager",
        "--state=active,activating,deactivating,failed,reloading",
        f"bluegreen-{production.app_name}-*",
    )  # fmt: skip
    states = {line.split()[0]: line.split()[2] for line in listed.output.splitlines()}
    wanted = {
        f"bluegreen-{production.app_name}-{service}@{slot}.service": "active"
        for slot, held in status["slots"].items()
        if held["state"] == "hot"
        for service in held["services"]
    }
    found = [] if states == wanted else [f"units are {states}, and should be {wanted}"]
    for slot, held in status["slots"].items():
        for name, service in held["services"].items():
            if (service["state"] == "running") != (held["state"] == "hot"):
                found.append(f"{slot} is {held['state']} and its {name} {service['state']}")
    return found
