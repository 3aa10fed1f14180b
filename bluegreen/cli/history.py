"""``bluegreen history``: past operations, the newest first."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.words import ago, seconds, subject

SHOWN = 160  # characters of an error; the whole of it is in `bluegreen logs`


def history(options: argparse.Namespace) -> int:
    client = Client(options.root)
    limit = f"limit={options.limit}"
    if options.app is None:
        found = client.get(f"/v1/operations?{limit}")
    else:
        found = client.get(f"{app_path(options.app)}/operations?{limit}")
    if options.json:
        print(json.dumps(found))
        return 0
    for operation in found["operations"]:
        print(history_line(operation))
    if not found["operations"]:
        print("nothing has been done yet")
    return 0


def _short(message: str) -> str:
    return message if len(message) <= SHOWN else message[: SHOWN - 1] + "…"


def history_line(operation: dict[str, Any]) -> str:
    """An operation in one line, and its error in another; of a running one, how long it has run."""
    began = operation.get("begun_at") or operation["created_at"]  # an older daemon has none
    took = (operation["finished_at"] or time.time()) - began
    about = subject(operation)
    if operation["commit"]:
        about += f" ({operation['commit'][:10]})"
    line = (
        f"{operation['id']:>5}  {ago(operation['created_at']):<12} {operation['app']}  "
        f"{operation['kind']:<8} {about}  {operation['slot'] or ''}  {operation['state']}  "
        f"{seconds(max(0.0, took))}  {operation['requested_by']}"
    )
    for text in operation.get("acknowledged", ()):  # an older daemon has none
        line += f"\n       acknowledged: {text}"
    if operation.get("forced"):
        line += f"\n       forced by {operation['requested_by']}"
    if operation["error"]:
        line += f"\n       {_short(operation['error']['message'])}"
    return line
