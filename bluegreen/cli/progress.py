"""Live progress on a terminal: phases, both slots, and what is happening now."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from bluegreen.cli.echo import unechoed
from bluegreen.cli.picture import Phases, Slots
from bluegreen.cli.plain import event_text
from bluegreen.cli.sparks import Traffic
from bluegreen.errors import BluegreenError

SHOWN_LINES = 6
LOOK_AGAIN = 1.0  # seconds between looks at the slots


class Progress:
    """What is known of an operation so far; draws itself. ``app`` is as the API has it."""

    def __init__(self, operation: dict[str, Any]) -> None:
        self._title = (
            f"{operation['kind']} {operation['version'] or ''} of {operation['app']}"
            + (f" into {operation['slot']}" if operation["slot"] else "")
            + f" (operation {operation['id']})"
        )
        self._phases, self._traffic = Phases(), Traffic()
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)
        self.app: dict[str, Any] | None = None

    def take(self, event: dict[str, Any]) -> None:
        if event["kind"] == "phase":
            self._phases.take(event)
        elif event["kind"] == "watch":
            self._traffic.take(event)
        elif (text := event_text(event)) is not None:
            self._lines.append(text.strip())

    def end(self) -> None:
        self._traffic.end()

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self._title, style="bold"), self._phases.table()]
        if self.app is not None:
            parts.append(Slots(self.app, self._traffic))
        parts += (
            Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in self._lines
        )
        return Group(*parts)


class _Looking:
    """Looks at the app now and then, in a thread of its own: events are waited for meanwhile."""

    def __init__(self, progress: Progress, look: Callable[[], dict[str, Any]]) -> None:
        self._progress, self._look = progress, look
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="looks at the slots", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.is_set():
            self.once()
            self._over.wait(LOOK_AGAIN)

    def once(self) -> None:
        """What is not answered is no part of the picture: the events tell of the daemon."""
        try:
            self._progress.app = self._look()
        except BluegreenError:
            return


def show_progress(
    operation: dict[str, Any],
    events: Iterable[tuple[str, dict[str, Any]]],
    look: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Draw until the operation has ended; returns it as it ended. ``look`` finds the app."""
    progress = Progress(operation)
    looking = _Looking(progress, look)
    with unechoed(), Live(progress, console=Console(), refresh_per_second=8), looking:
        for name, event in events:
            if name == "end":
                progress.end()
                looking.once()  # what stays is how it ended
                return event
            progress.take(event)
    return operation
