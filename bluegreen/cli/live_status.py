"""``bluegreen status --watch`` on a terminal: the status, drawn over and over."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from bluegreen.cli.client import Client
from bluegreen.cli.echo import unechoed
from bluegreen.cli.follow import events_of
from bluegreen.cli.picture import Phases, Slots
from bluegreen.cli.sparks import Traffic
from bluegreen.cli.status_lines import app_head, app_rest, head_lines
from bluegreen.errors import BluegreenError, DaemonUnreachableError

INTERVAL = 1.0  # seconds
MOST_FOLLOWED = 8  # operations at a time, each by a connection of its own


class Followed:
    """An operation whose events are taken as they come, by a thread that ends with it."""

    def __init__(self, client: Client, operation: int) -> None:
        self.phases, self.traffic = Phases(), Traffic()
        threading.Thread(
            target=self._follow, args=(client, operation), name=f"operation {operation}",
            daemon=True,
        ).start()  # fmt: skip

    def _follow(self, client: Client, operation: int) -> None:
        try:
            for name, event in events_of(client, operation):
                if name == "phase":
                    self.phases.take(event)
                elif name == "watch":
                    self.traffic.take(event)
        except BluegreenError:
            return  # whoever looks at the apps is told


class LiveStatus:
    """The picture of all apps; the operations that run are followed."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._followed: dict[int, Followed] = {}

    def draw(self, found: dict[str, Any]) -> RenderableType:
        """Of what ``GET /v1/apps`` answers."""
        running = [app["operation"]["id"] for app in found["apps"] if app["operation"] is not None]
        self._followed = {
            number: self._followed.get(number) or Followed(self._client, number)
            for number in running[:MOST_FOLLOWED]
        }
        parts: list[RenderableType] = [
            Text(line) for line in head_lines(found, self._client.remedies)
        ]
        for app in found["apps"]:
            parts += self._app(app)
        return Group(*parts)

    def _app(self, app: dict[str, Any]) -> list[RenderableType]:
        operation = app["operation"]
        followed = None if operation is None else self._followed.get(operation["id"])
        first, *rest = (Text(line) for line in app_rest(app))
        parts: list[RenderableType] = [
            Text(app_head(app), style="bold"),
            Slots(app, None if followed is None else followed.traffic),
            first,
        ]
        if followed is not None:  # what runs is told first
            parts.append(followed.phases.line())
        return [*parts, *rest]


def show_status(client: Client, look: Callable[[], dict[str, Any]]) -> int:
    """Draw what ``look`` finds until it is interrupted."""
    status = LiveStatus(client)
    with unechoed(), Live(Text(""), auto_refresh=False) as live:
        while True:
            try:
                drawn = status.draw(look())
            except DaemonUnreachableError as error:
                drawn = Text("\n".join(error.lines()))
            live.update(drawn, refresh=True)
            time.sleep(INTERVAL)
