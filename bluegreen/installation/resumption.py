"""What a restart of the daemon interrupts is asked for again.

Before its switch a release is undone when the daemon ends. An upgrade of bluegreen is nobody's
decision against that release, so it goes out all the same, by the newer daemon.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.errors import BluegreenError

ANSWER = 10.0  # seconds
# How an operation is asked for, by its kind. Others are carried on by the next daemon itself.
_ASKED = {"deploy": "deployments", "rollback": "rollback", "restart": "restart"}


def running() -> Sequence[dict[str, Any]]:
    """The operations that run, each with its app; none where no daemon answers."""
    try:
        apps = Client("/", answer_limit=ANSWER).get("/v1/apps")["apps"]
    except BluegreenError:
        return ()  # what keeps it from answering is said when it is to be ready
    return [{**app["operation"], "app": app["app"]} for app in apps if app["operation"] is not None]


def resume(operations: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Ask again for those of ``operations`` that the restart interrupted; yields what is done."""
    client = Client("/", answer_limit=ANSWER)
    for before in operations:
        app, kind, version = before["app"], before["kind"], before["version"]
        what = f"the {kind} of {app}" + (f" {version}" if version else "")
        try:
            ended = client.get(f"/v1/operations/{before['id']}")
            if ended["state"] != "interrupted" or kind not in _ASKED:
                continue
            body = {} if kind == "restart" else {"version": version}
            again = client.post(f"/v1/apps/{app}/{_ASKED[kind]}", body)
        except BluegreenError as error:
            yield f"{what} was interrupted, and is not resumed: {error.message}"
        else:
            yield f"{what} was interrupted, and is resumed as operation {again['id']}"
