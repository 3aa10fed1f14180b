"""``bluegreen status``: slots, versions, health, traffic, and what a switch back would do."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.cli.status_lines import status_lines

WATCH_INTERVAL = 1.0  # seconds


def status(options: argparse.Namespace) -> int:
    client = Client(options.root)
    if not options.watch:
        print(_picture(client, options))
        return 0
    if options.json or not sys.stdout.isatty():
        return _repeat(client, options)
    from bluegreen.cli.live_status import show_status

    return show_status(client, lambda: look(client, options.app))


def _repeat(client: Client, options: argparse.Namespace) -> int:
    """For a pipe: the whole picture again whenever it has changed."""
    shown = None
    while True:
        text = _picture(client, options)
        if text != shown:
            print(text)
            shown = text
        time.sleep(WATCH_INTERVAL)


def _picture(client: Client, options: argparse.Namespace) -> str:
    found = look(client, options.app)
    return json.dumps(found) if options.json else "\n".join(status_lines(found, client.remedies))


def look(client: Client, app: str | None) -> dict[str, Any]:
    """The status of all apps, or of one."""
    if app is None:
        found: dict[str, Any] = client.get("/v1/apps?probe=1")
        return found
    seen = client.get(f"{app_path(app)}?probe=1")
    # What is wrong with the daemon's files or history concerns whoever looks at one app, too.
    return {**client.get("/v1/apps"), "apps": [seen]}
