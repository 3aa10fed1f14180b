"""Live progress on a terminal: phases, their times, and what is happening now."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bluegreen.cli.echo import unechoed
from bluegreen.cli.plain import event_text
from bluegreen.cli.words import seconds

SHOWN_LINES = 6
_MARKS = {
    "done": ("✓", "green"), "failed": ("✗", "red"), "undoing": ("↺", "yellow"),
    "undone": ("↺", "yellow"),
}  # fmt: skip


class Progress:
    """What is known of an operation so far; draws itself."""

    def __init__(self, operation: dict[str, Any]) -> None:
        self._title = (
            f"{operation['kind']} {operation['version'] or ''} of {operation['app']}"
            + (f" into {operation['slot']}" if operation["slot"] else "")
            + f" (operation {operation['id']})"
        )
        self._phases: dict[str, dict[str, Any]] = {}
        self._lines: deque[str] = deque(maxlen=SHOWN_LINES)

    def take(self, event: dict[str, Any]) -> None:
        if event["kind"] == "phase":
            data = event["data"]
            phase = self._phases.setdefault(data["phase"], {"began": event["at"], "took": None})
            if phase.get("state") != "failed":  # undone it may be later, but this is what failed
                phase["state"] = data["state"]
            if data["state"] in ("done", "failed"):
                phase["took"] = event["at"] - phase["began"]
        elif (text := event_text(event)) is not None:
            self._lines.append(text.strip())

    def __rich__(self) -> RenderableType:
        table = Table.grid(padding=(0, 2))
        for name, phase in self._phases.items():
            if phase["state"] == "intent":
                mark: RenderableType = Spinner("dots")
                took = seconds(max(0.0, time.time() - phase["began"]))
            else:
                sign, style = _MARKS[phase["state"]]
                mark = Text(sign, style=style)
                took = "" if phase["took"] is None else seconds(phase["took"])
            table.add_row(mark, name, Text(took, style="dim"))
        lines = (Text(line, style="dim", overflow="ellipsis", no_wrap=True) for line in self._lines)
        return Group(Text(self._title, style="bold"), table, *lines)


def show_progress(
    operation: dict[str, Any], events: Iterable[tuple[str, dict[str, Any]]]
) -> dict[str, Any]:
    """Draw until the operation has ended; returns it as it ended."""
    progress = Progress(operation)
    with unechoed(), Live(progress, console=Console(), refresh_per_second=8):
        for name, event in events:
            if name == "end":
                return event
            progress.take(event)
    return operation
