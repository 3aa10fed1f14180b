"""A load's report in the terminal: a chart of blocks, the switches, the failures.

In a pipe it is plain ASCII: a letter a slot in the chart, no frames, no colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.style import Style
from rich.table import Table
from rich.text import Text

from bluegreen.demo.report import Report
from bluegreen.demo.timeline import (
    Mark,
    Timeline,
    duration,
    failures_after,
    outcome,
    placed,
    timeline,
)

ROWS = 8
FAILURES_SHOWN = 10
_GUTTER = 9  # columns for the figures on the left
_WIDEST = 120
_COLOURS = {"blue": ("blue", "bright_blue"), "green": ("green", "bright_green")}
_OTHER = ("white", "bright_black")
_NUMERALS = "123456789abcdefghijklmnopqrstuvwxyz"


def print_summary(console: Console, report: Report, marks: Sequence[Mark] = ()) -> None:
    """Prints the whole summary of a load."""
    blocks = console.is_terminal and not console.options.ascii_only
    for line in chart_lines(report, marks, width=min(console.width, _WIDEST), blocks=blocks):
        console.print(line, no_wrap=True, crop=True)
    console.print()
    if marks:
        console.print(_marks_table(report, marks, framed=blocks))
    latency = report.latency
    console.print(Text(outcome(report), style="bold red" if report.failed else "bold green"))
    console.print(
        Text(
            f"answers: median {duration(latency.median)}, p99 {duration(latency.p99)}, "
            f"slowest {duration(latency.slowest)}; "
            f"{report.messages:,} messages through WebSockets"
        )
    )
    if report.failures:
        console.print(_failures_table(report, framed=blocks))


def chart_lines(
    report: Report, marks: Sequence[Mark] = (), *, width: int, blocks: bool
) -> list[Text]:
    """Requests per slot over time, ``ROWS`` lines high; a line with the marks' numbers under it.

    ``width`` is in characters; ``blocks`` False leaves only ASCII characters.
    """
    line = timeline(report, columns=max(10, width - _GUTTER))
    rows = [_row(line, index, blocks=blocks) for index in reversed(range(ROWS))]
    rows[0] = Text.assemble(f"{line.top:>{_GUTTER - 3},.0f}/s ", rows[0])
    rows[1:] = [Text.assemble(" " * _GUTTER, row) for row in rows[1:]]
    end = f"{line.seconds:.0f} s"
    return [
        *rows,
        Text(" " * _GUTTER + _numbers(report, marks, line)),
        Text(" " * _GUTTER + "0 s" + end.rjust(max(0, line.columns - 3))),
        *_keys(line, blocks=blocks),
    ]


def _row(line: Timeline, index: int, *, blocks: bool) -> Text:
    """One line of the chart; a cell shows the band that fills the middle of its height."""
    level = (index + 0.5) / ROWS * line.top
    row = Text()
    for column in range(line.columns):
        reached = 0.0
        for band in line.bands:
            reached += band.rates[column]
            if reached > level:
                row.append(_cell(band.slot, blocks=blocks), _style(band.slot, band.shade))
                break
        else:
            row.append(" ")
    return row


def _cell(slot: str, *, blocks: bool) -> str:
    return "█" if blocks else slot[:1] or "?"


def _style(slot: str, shade: int) -> str:
    colours = _COLOURS.get(slot, _OTHER)
    return colours[shade % len(colours)]


def _numbers(report: Report, marks: Sequence[Mark], line: Timeline) -> str:
    """Where the marks are; beyond the numerals, and where two fall together, a ``*``."""
    cells = [" "] * line.columns
    for index, (seconds, _) in enumerate(placed(report, marks)):
        column = min(max(0, int(seconds / line.column)), line.columns - 1)
        free = cells[column] == " " and index < len(_NUMERALS)
        cells[column] = _NUMERALS[index] if free else "*"
    return "".join(cells).rstrip()


def _keys(line: Timeline, *, blocks: bool) -> Iterator[Text]:
    """What the bands are, in as many lines as they need."""
    row = Text()
    for band in line.bands:
        key = Text(_cell(band.slot, blocks=blocks) * 2, _style(band.slot, band.shade))
        key.append(f" {band.slot}: {band.version}   ", Style.null())
        if row and len(row) + len(key) > line.columns:
            yield Text(" " * _GUTTER) + row
            row = Text()
        row += key
    yield Text(" " * _GUTTER) + row


def _table(*, framed: bool) -> Table:
    return Table(
        box=box.SIMPLE_HEAD if framed else None,
        pad_edge=False,
        header_style="bold",
    )


def _marks_table(report: Report, marks: Sequence[Mark], *, framed: bool) -> Table:
    table = _table(framed=framed)
    for name in ("#", "at", "what", "traffic to", "took", "failures"):
        words = name in ("what", "traffic to")
        table.add_column(name, justify="left" if words else "right", overflow="fold")
    for row in _mark_rows(report, marks):
        table.add_row(*row)
    return table


def _mark_rows(report: Report, marks: Sequence[Mark]) -> Iterator[tuple[str | Text, ...]]:
    failures = failures_after(report, marks)
    for index, (seconds, mark) in enumerate(placed(report, marks)):
        yield (
            _NUMERALS[index] if index < len(_NUMERALS) else "*",
            f"{seconds:.1f} s",
            Text(mark.label),
            Text("" if mark.slot is None else mark.slot.value),
            "" if mark.took is None else duration(mark.took),
            Text(str(failures[index]), style="red" if failures[index] else ""),
        )


def _failures_table(report: Report, *, framed: bool) -> Table:
    shown = report.failures[:FAILURES_SHOWN]
    table = _table(framed=framed)
    if report.failed > len(shown):
        table.caption = f"the first {len(shown)} of {report.failed:,}"
    for name in ("at", "who", "what", "why"):
        table.add_column(name, justify="right" if name == "at" else "left", overflow="fold")
    for failure in shown:
        table.add_row(
            f"{failure.at:.1f} s", failure.client.value, failure.kind.value, Text(failure.reason)
        )
    return table
