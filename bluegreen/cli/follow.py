"""An operation's events as they come, over the restarts of a daemon too."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.client.events import EventLines
from bluegreen.errors import DaemonUnreachableError

PATIENCE = 30.0  # seconds to wait for a daemon that is being restarted
QUIET_LIMIT = 40.0  # seconds between lines: a daemon that lives sends one every 15 s
RETRY = 0.25  # seconds between attempts


def events_of(client: Client, operation: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Pairs of an event's name and its document; the last is ``end`` with the operation.

    Raises DaemonUnreachableError when no daemon has answered for `PATIENCE`.
    """
    parsed, heard = EventLines(), time.monotonic()
    while True:
        lines = client.lines(
            f"/v1/operations/{operation}/events",
            f"Last-Event-ID: {parsed.last}\r\n",
            quiet_limit=QUIET_LIMIT,
        )
        try:
            for line in lines:
                heard = time.monotonic()
                if (event := parsed.take(line)) is None:
                    continue
                yield event
                if event[0] == "end":
                    return
            heard = time.monotonic()  # until now it was there
        except DaemonUnreachableError:
            if time.monotonic() - heard > PATIENCE:
                raise
        parsed = EventLines(parsed.last)  # half an event may have been taken
        time.sleep(RETRY)
