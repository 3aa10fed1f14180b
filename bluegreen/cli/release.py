"""``deploy``, ``rollback``, ``promote``, ``cancel`` and others: asked for, then followed."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from bluegreen.cli.client import Client, app_and_operation, app_path, require_beside_app
from bluegreen.cli.follow import events_of
from bluegreen.errors import UsageError
from bluegreen.words import seconds

EXIT_STATUS = {
    "succeeded": 0, "failed": 1, "rolled_back": 5, "cancelled": 1, "superseded": 1,
    "interrupted": 1,
}  # fmt: skip


def deploy(options: argparse.Namespace) -> int:
    # `deploy VERSION`, where there is one app, reaches us as its version alone.
    client = Client(options.root)
    require_beside_app(client, options.app, options.version, "VERSION", options.prog)
    body = {"version": options.version} | ({"ack": options.ack} if options.ack else {})
    body |= {"force": True} if options.force else {}
    body |= {"manual": True} if options.manual else {}
    return begin(options, "deployments", body)


def rollback(options: argparse.Namespace) -> int:
    if options.restore is not None:
        from bluegreen.cli.backup import rollback_with_data

        return rollback_with_data(options)
    return begin(options, "rollback", {"version": options.version})


def promote(options: argparse.Namespace) -> int:
    options.app, number = app_and_operation(options.app, options.operation)
    return begin(options, "promote", {} if number is None else {"operation": number})


def restart(options: argparse.Namespace) -> int:
    return begin(options, "restart", {})


def stop(options: argparse.Namespace) -> int:
    return begin(options, "stop", {})


def start(options: argparse.Namespace) -> int:
    return begin(options, "start", {})


def cancel(options: argparse.Namespace) -> int:
    client = Client(options.root)
    app, number = app_and_operation(options.app, options.operation)
    body = {} if number is None else {"operation": number}
    operation = client.post(f"{app_path(app)}/cancel", body)
    if options.json:
        print(json.dumps(operation))
    else:
        print(f"{operation['app']}: operation {operation['id']} {operation['state']}")
        if operation["error"]:
            print(f"  {operation['error']['message']}")
    return 0


def begin(options: argparse.Namespace, what: str, body: dict[str, Any]) -> int:
    """Begin what POST ``what`` of the app begins, and follow it to its end; its exit status."""
    if options.app is not None and options.app.startswith("-"):
        raise UsageError("an app's name begins with a letter", remedy="bluegreen status lists them")
    client = Client(options.root)
    operation = client.post(f"{app_path(options.app)}/{what}", body)
    app = operation["app"]
    if options.detach:
        if options.json:
            print(json.dumps(operation))
        else:
            verb = "goes on" if what == "promote" else "has begun"
            print(f"{app}: operation {operation['id']} {verb}")
            print(f"Next: bluegreen status {app} --watch")
        return 0
    ended = _follow(client, operation, options)
    if not options.json:
        _say_outcome(ended)
    return EXIT_STATUS[ended["state"]]


def _follow(client: Client, operation: dict[str, Any], options: argparse.Namespace) -> Any:
    ended = operation
    if options.json:
        for name, event in events_of(client, operation["id"]):
            print(json.dumps(event))
            ended = event if name == "end" else ended
    elif sys.stdout.isatty():
        from bluegreen.cli.progress import show_progress

        looked_at = app_path(operation["app"])
        ended = show_progress(
            operation, events_of(client, operation["id"]), lambda: client.get(looked_at)
        )
    else:
        from bluegreen.cli.plain import PlainLines

        lines = PlainLines()
        for name, event in events_of(client, operation["id"]):
            if name == "end":
                ended = event
            elif line := lines.line(event):
                print(line)
    return ended


def _say_outcome(operation: dict[str, Any]) -> None:
    took = seconds(operation["finished_at"] - operation["created_at"])
    what = " ".join(filter(None, (operation["kind"], operation["version"])))
    print(f"{operation['app']}: {what} {operation['state'].replace('_', ' ')} after {took}")
    if operation["error"]:
        error = operation["error"]
        print(f"bluegreen: {error['message']}", file=sys.stderr)
        for line in error["detail"]:
            print(f"  {line}", file=sys.stderr)
        print(f"Next: {error['remedy']}", file=sys.stderr)
