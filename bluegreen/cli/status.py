"""``bluegreen status``: slots, versions, health, traffic, and what a switch back would do."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.cli.queue import waiting_lines
from bluegreen.cli.words import ago, seconds
from bluegreen.errors import DaemonUnreachableError
from bluegreen.remedies import Remedies

WATCH_INTERVAL = 1.0  # seconds


def status(options: argparse.Namespace) -> int:
    client = Client(options.root)
    if not options.watch:
        print(_picture(client, options))
        return 0
    if options.json or not sys.stdout.isatty():
        return _repeat(client, options)
    return _live(client, options)


def _repeat(client: Client, options: argparse.Namespace) -> int:
    """For a pipe: the whole picture again whenever it has changed."""
    shown = None
    while True:
        text = _picture(client, options)
        if text != shown:
            print(text)
            shown = text
        time.sleep(WATCH_INTERVAL)


def _live(client: Client, options: argparse.Namespace) -> int:
    from rich.live import Live
    from rich.text import Text

    from bluegreen.cli.echo import unechoed

    with unechoed(), Live(Text(""), auto_refresh=False) as live:
        while True:
            try:
                text = _picture(client, options)
            except DaemonUnreachableError as error:
                text = "\n".join(error.lines())
            live.update(Text(text), refresh=True)
            time.sleep(WATCH_INTERVAL)


def _picture(client: Client, options: argparse.Namespace) -> str:
    found = _look(client, options.app)
    return json.dumps(found) if options.json else "\n".join(status_lines(found, client.remedies))


def _look(client: Client, app: str | None) -> dict[str, Any]:
    if app is None:
        found: dict[str, Any] = client.get("/v1/apps?probe=1")
        return found
    seen = client.get(f"{app_path(app)}?probe=1")
    # What is wrong with the daemon's files or history concerns whoever looks at one app, too.
    return {**client.get("/v1/apps"), "apps": [seen]}


def status_lines(found: dict[str, Any], remedies: Remedies) -> list[str]:
    """What ``GET /v1/apps`` answers, in words; ``remedies`` are of the root that was asked."""
    lines = [f"not taken up: {problem}" for problem in found["problems"]]
    if found["problems"]:
        lines.append(
            f"the last accepted configuration is in force; mend the file, then: {remedies.take_up}"
        )
    lines += [f"warning: {warning}" for warning in found["warnings"]]
    for app in found["apps"]:
        lines += _app_lines(app)
    if not found["apps"]:
        lines.append("there are no apps; describe one: bluegreen init")
    return lines


def _app_lines(app: dict[str, Any]) -> list[str]:
    if app["active"] is None:
        serving = "never deployed"
        if app["replaces"]:
            places = ", ".join(f"{name} at {at}" for name, at in app["replaces"].items())
            serving += f"; what it replaces serves: {places}"
    elif app["closed"]:
        serving = f"out of service (503); {app['active']} is its active slot"
    else:
        serving = f"traffic on {app['active']}" + (", held" if app["held"] else "")
        if share := app.get("share"):  # an older daemon has none
            serving += f", {share['percent']} % of the clients on {share['slot']}"
    lines = [f"{app['app']}: {serving}"]
    for name, slot in app["slots"].items():
        lines += slot_lines(name, slot, active=name == app["active"])
    operation = app["operation"]
    if operation is not None:
        doing = "undoing " if operation["undoing"] else ""
        lines.append(
            f"  running: operation {operation['id']}, {operation['kind']} "
            f"{operation['version'] or ''}, {doing}{operation['phase'] or 'about to begin'}, since "
            f"{ago(operation['since'])}, by {operation['requested_by']}"
        )
        if operation["waiting_for"]:
            lines.append(f"    waiting for {operation['waiting_for']}")
        lines += _promotion_lines(app)
    lines += waiting_lines(app)
    if app["held"] is not None:
        held, now = app["held"], time.time()
        lines.append(
            f"  held: new requests wait, since {ago(held['since'])}, for "
            f"{seconds(max(0.0, held['until'] - now))} more at the most ({held['by']})"
        )
    if app["lock"] is not None:
        lock = app["lock"]
        lines.append(f"  locked: {lock['reason']} ({lock['by']}, {ago(lock['at'])})")
    lines.append(f"  switch back: {app['switch_back']['says']}")
    return lines


def _promotion_lines(app: dict[str, Any]) -> list[str]:
    """Where a release stands that a person may let go on, and the commands for that."""
    standing = app["operation"].get("promotion")  # an older daemon has none
    if standing is None:
        return []
    name, left = app["app"], seconds(max(0.0, standing["until"] - time.time()))
    if standing["phase"] == "steps":
        steps = ", ".join(str(step) for step in standing["steps"])
        return [
            f"    step {standing['share']} % (of {steps}), for {left} more",
            f"    Next: all clients at once: bluegreen promote {name}; all back: "
            f"bluegreen switch back {name}",
        ]
    see = f"; to see it: bluegreen preview {name}" if standing["slot"] else ""
    return [
        f"    it waits for a person since {ago(standing['since'])}, for {left} more at the most, "
        "then it is taken back",
        f"    Next: bluegreen promote {name} (scope switch), or: bluegreen cancel {name}{see}",
    ]


def _why(service: dict[str, Any]) -> str:
    """How often a service was restarted, and how it ended last, if it has."""
    count = service["restarts"]
    said = [f"restarted {'once' if count == 1 else f'{count} times'}"] if count else []
    if service["last_exit"] and (said or service["state"] != "running"):
        said.append(service["last_exit"])
    return f" ({', '.join(said)})" if said else ""


def slot_lines(name: str, slot: dict[str, Any], *, active: bool) -> list[str]:
    """A slot in words, and beneath it its services and what fails."""
    version = slot["version"] or "-"
    if slot["commit"]:
        version += f" ({slot['commit'][:10]})"
    state = "active" if active else slot["state"]
    if slot["hot_until"] and state == "hot":
        state += f" for {seconds(max(0.0, slot['hot_until'] - time.time()))} more"
    line = f"  {'*' if active else ' '} {name:<6} {version}  {state}"
    running = {n: s for n, s in slot["services"].items() if s["state"] != "stopped"}
    if slot["health"] is not None:
        line += "  healthy" if slot["health"]["healthy"] else "  NOT HEALTHY"
    lines = [line]
    if running or (slot["state"] == "hot" and slot["services"]):
        parts = [f"{n} {s['state']}{_why(s)}" for n, s in slot["services"].items()]
        lines.append("      " + ", ".join(parts))
    if slot["health"] is not None:
        lines += [f"      {failing}" for failing in slot["health"]["failing"]]
    return lines
