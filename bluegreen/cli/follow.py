"""An operation's events as they come, over the restarts of a daemon too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.errors import DaemonUnreachableError

PATIENCE = 30.0  # seconds to wait for a daemon that is being restarted
QUIET_LIMIT = 40.0  # seconds between lines: a daemon that lives sends one every 15 s
RETRY = 0.25  # seconds between attempts


def events_of(client: Client, operation: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of an event's name and its document; the last is ``end`` with the operation.

    Raises DaemonUnreachableError when no daemon has answered for `PATIENCE`.
    """
    last, heard = "0", time.monotonic()
    while True:
        try:
            for number, name, data in _stream(client, operation, last):
                heard = time.monotonic()
                if not name:
                    continue
                last = number or last
                yield name, data
                if name == "end":
                    return
            heard = time.monotonic()  # until now it was there
        except DaemonUnreachableError:
            if time.monotonic() - heard > PATIENCE:
                raise
        time.sleep(RETRY)


def _stream(
    client: Client, operation: int, after: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Number, name and document of each event; all empty where the daemon says that it lives."""
    headers = f"Last-Event-ID: {after}\r\n"
    event: dict[str, str] = {}
    for line in client.lines(
        f"/v1/operations/{operation}/events", headers, quiet_limit=QUIET_LIMIT
    ):
        field, _, value = line.partition(": ")
        if line:
            event[field] = value
        else:
            yield event.get("id", ""), event.get("event", ""), json.loads(event.get("data", "{}"))
            event = {}
