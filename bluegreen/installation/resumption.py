"""What a restart of the daemon interrupts is asked for again.

Before its switch a release is undone when the daemon ends, or by the next one once that is ready;
so are a start and a stop when the daemon is told to end. An upgrade of bluegreen is nobody's
decision against any of them, so they are done all the same, by the newer daemon.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.errors import BluegreenError

ANSWER = 10.0  # seconds
UNDONE = 120.0  # seconds until what was interrupted has been undone, all of it together
POLL = 0.2
HOST = Path("/")
# How an operation is asked for, by its kind.
_ASKED = {
    "deploy": "deployments",
    "rollback": "rollback",
    "restart": "restart",
    "start": "start",
    "stop": "stop",
}
# What the next daemon carries on, where none of it is being undone: the former from any phase.
_GOES_ON = ("start", "stop")
_AFTER_SWITCH = ("watch", "settle")


def running(root: Path = HOST) -> Sequence[dict[str, Any]]:
    """The operations that run, each with its app; none where no daemon answers."""
    try:
        apps = Client(root, patience=ANSWER).get("/v1/apps")["apps"]
    except BluegreenError:
        return ()  # what keeps it from answering is said when it is to be ready
    return [{**app["operation"], "app": app["app"]} for app in apps if app["operation"] is not None]


def resume(operations: Sequence[dict[str, Any]], root: Path = HOST) -> Iterator[str]:
    """Ask again for those of ``operations`` that the restart interrupted; yields what is done."""
    client = Client(root, patience=ANSWER)
    until = time.monotonic() + UNDONE
    for before in operations:
        app, kind, version = before["app"], before["kind"], before["version"]
        what = f"the {kind} of {app}" + (f" {version}" if version else "")
        try:
            state = _state_in_the_end(client, before["id"], until)
            if state == "running":
                yield (
                    f"{what} is not undone yet, and is not resumed: once bluegreen history {app} "
                    "says that it is, ask for it again"
                )
            if state != "interrupted":
                continue
            if kind not in _ASKED:
                yield f"{what} was interrupted, and is not resumed: ask for it again"
                continue
            again = _ask_again(client, before)
        except BluegreenError as error:
            yield f"{what} was interrupted, and is not resumed: {error.message}"
        else:
            number = "" if again is None else f" as operation {again['id']}"
            yield f"{what} was interrupted, and is resumed{number}"


def _ask_again(client: Client, before: dict[str, Any]) -> dict[str, Any] | None:
    """The operation that does it now; None of a switch that the store could not take."""
    path = f"/v1/apps/{before['app']}"
    if before.get("of_switch"):
        # A rollback would heed a lock, and fetch what a branch names today; a switch goes to what
        # is in the slot. It answers once traffic has moved.
        switched = client.post(f"{path}/switch", {"to": before["slot"]})
        operation: dict[str, Any] | None = switched["operation"]
        return operation
    again: dict[str, Any] = client.post(f"{path}/{_ASKED[before['kind']]}", _body(client, before))
    return again


def _body(client: Client, before: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, with the data that were named, what was acknowledged and forced then."""
    if before["kind"] in ("restart", "start", "stop"):
        return {}
    body = {"version": before["version"]}
    # A daemon that was gone back to may be too old to know of either.
    if before.get("backup") is not None:
        return body | {"restore": before["backup"]}
    asked = client.get(f"/v1/operations/{before['id']}")
    body |= {"ack": asked["acknowledged"]} if asked.get("acknowledged") else {}
    return body | {"force": True} if asked.get("forced") else body


def _state_in_the_end(client: Client, number: int, until: float) -> str:
    """``running`` where that is not yet; ``carried on`` where it is finished, not undone."""
    while True:
        operation = client.get(f"/v1/operations/{number}")
        state, phases = str(operation["state"]), operation.get("phases", [])
        if state not in ("queued", "running"):
            return state
        is_well = all(phase["state"] in ("intent", "done") for phase in phases)
        is_switched = bool(phases) and phases[-1]["phase"] in _AFTER_SWITCH
        if is_well and (is_switched or operation["kind"] in _GOES_ON):
            return "carried on"
        if time.monotonic() > until:
            return "running"
        time.sleep(POLL)
