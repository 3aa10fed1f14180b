"""``bluegreen logs``: the kept output of an operation or of services."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any
from urllib.parse import urlencode

from bluegreen.cli.client import Client, app_and_operation, app_path
from bluegreen.errors import DaemonUnreachableError, UsageError
from bluegreen.log_tail import printable


def logs(options: argparse.Namespace) -> int:
    app, operation = app_and_operation(options.app, options.operation)
    if options.phase is not None and operation is None:
        raise UsageError(
            "--phase is of an operation, and none was named",
            remedy="name its number, as `bluegreen history` lists it",
        )
    client = Client(options.root)
    asked = {
        "operation": operation,
        "phase": options.phase,
        "service": options.service,
        "lines": options.lines,
        "follow": "1" if options.follow else None,
    }
    query = urlencode({name: value for name, value in asked.items() if value is not None},
                      errors="surrogateescape")  # fmt: skip
    printed = False
    # What an app prints may be meant to move a terminal's cursor or to rewrite its title.
    shown = printable if sys.stdout.isatty() else str
    for line in client.lines(f"{app_path(app)}/logs?{query}"):
        printed = True
        if options.json:
            print(line)
        else:
            entry = json.loads(line)
            print(f"{entry['source']} | {shown(entry['line'])}")
    if options.follow and _broke_off(client, operation):
        raise DaemonUnreachableError(
            "the daemon has ended, and no more can be followed",
            remedy="the apps stay up; once a daemon serves again, follow again",
        )
    if not printed:
        why = _no_services(client, app, options) if operation is None else _no_output(
            client.get(f"/v1/operations/{operation}"), options.phase
        )  # fmt: skip
        print(why, file=sys.stderr)
    return 0


def _broke_off(client: Client, operation: int | None) -> bool:
    """Whether what was followed goes on: services do as long as somebody follows them."""
    return operation is None or client.get(f"/v1/operations/{operation}")["state"] == "running"


def _no_output(operation: dict[str, Any], phase: str | None) -> str:
    """Why nothing of an operation is shown, and what there is."""
    named = f"operation {operation['id']} ({operation['kind']}, {operation['state']})"
    begun = [each["phase"] for each in operation.get("phases", ())]
    there = ", ".join(operation["output"])
    if phase is None:
        return f"{named} has no output: no build step and no command probe of it wrote anything"
    if phase not in begun:
        why = f"{named} did not come to its {phase} phase, but to: {', '.join(begun) or 'none'}"
    else:
        why = f"the {phase} phase of {named} has no output"
    return f"{why}; there is output of: {there}" if there else f"{why}; no phase has written any"


def _no_services(client: Client, app: str | None, options: argparse.Namespace) -> str:
    """Why nothing of services is shown."""
    if options.lines == 0:
        return "no lines were asked for: --lines 0"
    seen = client.get(app_path(app))
    if options.service is not None:
        return f"service {options.service} of {seen['app']} has written nothing in either slot"
    if seen["active"] is None:
        return f"{seen['app']} was never deployed: its services have written nothing"
    names = ", ".join(seen["slots"][seen["active"]]["services"])
    return f"the services of {seen['app']} have written nothing in {seen['active']}: {names}"
