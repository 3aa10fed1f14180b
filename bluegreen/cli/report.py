"""``bluegreen report``: a release told on one page of HTML, to send to people."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client, app_and_operation, app_path
from bluegreen.cli.follow import events_of
from bluegreen.errors import BusyError, NotFoundError, RefusalError, RefusedError, UsageError
from bluegreen.files import write_atomically

LOOKED_THROUGH = 200  # operations, for the newest release and for what served before one
_RELEASES = ("deploy", "rollback", "restart")
_BROUGHT = ("succeeded", "cancelled", "superseded")  # which may have left a release serving


def report(options: argparse.Namespace) -> int:
    app, number = app_and_operation(options.app, options.operation)
    client = Client(options.root)
    operation = _chosen(client, app, number)
    file = Path(options.output or f"{operation['app']}-{operation['id']}.html")
    text = _page(client, operation)
    if str(file) == "-":
        print(text)
        return 0
    _write(file, text)
    if options.json:
        print(json.dumps({"file": str(file.absolute()), "operation": operation["id"]}))
    else:
        print(f"{file}: operation {operation['id']} of {operation['app']}, {operation['state']}")
    return 0


def _chosen(client: Client, app: str | None, number: int | None) -> dict[str, Any]:
    """That operation; or the newest release that has ended or, without one, what has."""
    if number is None:
        ended = [one for one in _history(client, app, None) if one["finished_at"] is not None]
        releases = [one for one in ended if one["kind"] in _RELEASES]
        if not ended:
            raise NotFoundError(
                "nothing that was done has ended yet", remedy="see what there is: bluegreen history"
            )
        number = (releases or ended)[0]["id"]
    operation: dict[str, Any] = client.get(f"/v1/operations/{number}")
    if app is not None and operation["app"] != app:
        raise NotFoundError(
            f"operation {number} is one of {operation['app']}, not of {app}",
            remedy=f"bluegreen report {operation['app']} {number}; or see what there is of {app}: "
            f"bluegreen history {app}",
        )
    if operation["finished_at"] is None:
        raise BusyError(
            f"operation {number} of {operation['app']} has not ended yet",
            remedy=f"once it has, ask again; see it: bluegreen status {operation['app']} --watch",
        )
    return operation


def _history(client: Client, app: str | None, before: int | None) -> list[dict[str, Any]]:
    older = "" if before is None else f"&before={before}"
    found = client.get(f"{app_path(app)}/operations?limit={LOOKED_THROUGH}{older}")
    operations: list[dict[str, Any]] = found["operations"]
    return operations


def _page(client: Client, operation: dict[str, Any]) -> str:
    from bluegreen.report.page import page
    from bluegreen.report.story import Documents, tell

    events = [event for name, event in events_of(client, operation["id"]) if name != "end"]
    documents = Documents(
        operation=operation,
        events=events,
        output=list(_output(client, operation)),
        served=_served(client, operation),
        app=_app_now(client, operation["app"]),
        made_at=time.time(),
    )
    return page(tell(documents), made_at=documents.made_at)


def _output(client: Client, operation: dict[str, Any]) -> Iterator[dict[str, str]]:
    """None of an app that was removed."""
    path = f"{app_path(operation['app'])}/logs?operation={operation['id']}"
    try:
        yield from map(json.loads, client.lines(path))
    except RefusalError as error:
        if error.http_status != 404:
            raise


def _served(client: Client, operation: dict[str, Any]) -> str | None:
    """The version that traffic was on: what had been brought into that slot last."""
    slot = operation["from_slot"]
    for one in _history(client, operation["app"], operation["id"]):
        brought = one["kind"] in _RELEASES and one["state"] in _BROUGHT
        if brought and slot is not None and one["slot"] == slot:
            version: str | None = one["version"]
            return version
    return None


def _app_now(client: Client, app: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = client.get(app_path(app))
    except RefusalError as error:
        if error.http_status != 404:
            raise
        return None
    return found


def _refuse_other_than_a_file(file: Path) -> None:
    """What is no regular file is left alone: a rename would take a device's place."""
    if file.exists() and not file.is_file():
        what = "a directory" if file.is_dir() else "a device, a pipe or a socket"
        raise UsageError(
            f"--output: {file} is {what}; nothing was written",
            remedy="name a file in a directory that is there, or print it: --output -",
        )


def _write(file: Path, text: str) -> None:
    """All of it, or nothing new. Raises RefusedError."""
    try:
        _refuse_other_than_a_file(file)
        write_atomically(file, text, durable=False)
    except (OSError, UnicodeError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise RefusedError(
            f"--output: {file} cannot be written: {why}",
            remedy="name a file where you may write, or print it: --output -",
        ) from error
