"""An operation's events as they come, over the restarts of a daemon too."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.errors import DaemonUnreachableError

PATIENCE = 30.0  # seconds to wait for a daemon that is being restarted
RETRY = 0.25  # seconds between attempts


def events_of(client: Client, operation: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of an event's name and its document; the last is ``end`` with the operation."""
    last, given_up = "0", time.monotonic() + PATIENCE
    while True:
        try:
            for number, name, data in _stream(client, operation, last):
                given_up = time.monotonic() + PATIENCE
                last = number or last
                yield name, data
                if name == "end":
                    return
        except DaemonUnreachableError:
            if time.monotonic() > given_up:
                raise
        time.sleep(RETRY)


def _stream(
    client: Client, operation: int, after: str
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    headers = f"Last-Event-ID: {after}\r\n"
    event: dict[str, str] = {}
    for line in client.lines(f"/v1/operations/{operation}/events", headers):
        field, _, value = line.partition(": ")
        if line:
            event[field] = value
        elif "data" in event:
            yield event.get("id", ""), event["event"], json.loads(event["data"])
            event = {}
        else:
            event = {}
