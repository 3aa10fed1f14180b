"""The picture of an app while something is done to it: phases, slots, requests and errors."""

from __future__ import annotations

import time
from typing import Any

from rich.columns import Columns
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.padding import Padding
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from bluegreen.cli.sparks import SHOWN, SLOTS, Traffic
from bluegreen.cli.status_lines import is_paused, slot_lines
from bluegreen.words import seconds

WIDE = 70  # columns: on fewer there is no room for lines of blocks
_OF_SLOT = 46  # columns that are left to what is said of a slot
_BESIDE = 16  # columns of figures and gaps
MARKS = {
    "done": ("✓", "green"), "failed": ("✗", "red"), "undoing": ("↺", "yellow"),
    "undone": ("↺", "yellow"),
}  # fmt: skip


class Phases:
    """The phases of an operation so far, with their times."""

    def __init__(self) -> None:
        self._phases: dict[str, dict[str, Any]] = {}
        self._spinner = Spinner("dots")  # one, so that it turns

    def take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        phase = self._phases.setdefault(data["phase"], {"began": event["at"], "took": None})
        if phase.get("state") != "failed":  # undone it may be later, but this is what failed
            phase["state"] = data["state"]
        if data["state"] in ("done", "failed"):
            phase["took"] = event["at"] - phase["began"]

    def table(self) -> Table:
        """A line each."""
        table = Table.grid(padding=(0, 2))
        for name, phase in self._phases.items():
            mark = self._spinner if phase["state"] == "intent" else Text(*MARKS[phase["state"]])
            table.add_row(mark, name, Text(_took(phase), style="dim"))
        return table

    def line(self) -> RenderableType:
        """All of them, one beside the other."""
        each = []
        for name, phase in self._phases.items():
            sign, style = MARKS.get(phase["state"], ("…", "cyan"))
            each.append(Text.assemble((f"{sign} ", style), name, (f" {_took(phase)}", "dim")))
        return Padding(Columns(each, padding=(0, 3)), (0, 0, 0, 4))


class Slots:
    """Both slots of an app as ``GET /v1/apps/{app}`` has it, each with its requests if known."""

    def __init__(self, app: dict[str, Any], traffic: Traffic | None) -> None:
        self._app = app
        self._traffic = traffic if traffic is not None and traffic.is_known else None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = options.max_width - _OF_SLOT - _BESIDE
        traffic = self._traffic if options.max_width >= WIDE else None
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(no_wrap=True, overflow="ellipsis")
        if traffic is not None:
            width = max(SHOWN[0], min(SHOWN[1], room // 2))
            for _ in range(2):
                table.add_column(no_wrap=True, width=width + 6)
            heads = (
                Text(head, style="dim", justify="right") for head in ("requests/s", "errors/s")
            )
            table.add_row("", *heads)
        for name in SLOTS:
            active = name == self._app["active"]
            first, *rest = slot_lines(
                name, self._app["slots"][name],
                active=active, paused=active and is_paused(self._app),
            )  # fmt: skip
            cells = () if traffic is None else traffic.cells(name, width)
            table.add_row(Text(first, style="bold" if active else ""), *cells)
            for line in rest:
                table.add_row(Text(line, style="dim"))
        yield table
        if self._traffic is not None and (said := self._traffic.verdict()) is not None:
            yield Text(f"    {said}", style="dim", no_wrap=True, overflow="ellipsis")


def _took(phase: dict[str, Any]) -> str:
    if phase["state"] == "intent":
        return seconds(max(0.0, time.time() - phase["began"]))
    return "" if phase["took"] is None else seconds(phase["took"])
