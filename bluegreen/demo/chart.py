"""Requests per slot over time as an SVG that stands on its own: no script, no font, no link."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from html import escape

from bluegreen.axes import ticks
from bluegreen.demo.report import Report
from bluegreen.demo.timeline import Mark, Timeline, duration, outcome, placed, timeline

WIDTH, PLOT_HEIGHT = 960, 260
LEFT, RIGHT, TOP = 70, 20, 112
LINE = 18  # between two lines of text
COLUMNS = 400
MARKS_LISTED = 30  # with more of them, they are summed up instead

_SHADES = {
    "blue": ("#2563eb", "#60a5fa", "#1e3a8a", "#93c5fd", "#0ea5e9", "#1d4ed8"),
    "green": ("#16a34a", "#4ade80", "#14532d", "#86efac", "#a3e635", "#65a30d"),
}
_OTHER = ("#6b7280", "#9ca3af", "#374151", "#d1d5db")
_ROWS = 3  # of the marks' numbers, so that neighbours do not cover each other
_INK, _FAINT, _FAILED = "#1f2937", "#e5e7eb", "#dc2626"
_PLOT_WIDTH = WIDTH - LEFT - RIGHT
_BOTTOM = TOP + PLOT_HEIGHT


def requests_chart(report: Report, marks: Sequence[Mark] = (), *, title: str) -> str:
    """The whole SVG document.

    Areas in the slots' colours, a shade a version; a line for each mark, numbered and explained
    underneath; a red tick under the axis for each failure.
    """
    line = timeline(report, columns=COLUMNS)
    legend = list(_legend(report, marks))
    height = _BOTTOM + 56 + LINE * len(legend) + 8
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12" '
            f'fill="{_INK}" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            _text(LEFT, 26, title, size=17),
            _text(LEFT, 46, outcome(report)),
            *_keys(line),
            *_axes(line),
            *_areas(line),
            *_mark_lines(report, marks, line),
            *_failures(report, line),
            *(
                _text(LEFT, _BOTTOM + 56 + LINE * index, words)
                for index, words in enumerate(legend)
            ),
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, words: str, *, anchor: str = "start", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">'
        f"{escape(words)}</text>"
    )


def _x(seconds: float, line: Timeline) -> float:
    return LEFT + _PLOT_WIDTH * seconds / line.seconds


def _y(rate: float, line: Timeline) -> float:
    return _BOTTOM - PLOT_HEIGHT * rate / (line.top or 1.0)


def _colour(slot: str, shade: int) -> str:
    shades = _SHADES.get(slot, _OTHER)
    return shades[shade % len(shades)]


def _keys(line: Timeline) -> Iterator[str]:
    """A coloured square and a name for each band, in one row."""
    x = float(LEFT)
    for band in line.bands:
        words = f"{band.slot}: {band.version}"
        colour = _colour(band.slot, band.shade)
        yield f'<rect x="{x:.1f}" y="57" width="11" height="11" fill="{colour}"/>'
        yield _text(x + 16, 67, words)
        x += 34 + 7 * len(words)


def _axes(line: Timeline) -> Iterator[str]:
    for rate in ticks(line.top):
        y = _y(rate, line)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="{_FAINT}"/>'
        yield _text(LEFT - 8, y + 4, f"{rate:,.0f}", anchor="end")
    for seconds in ticks(line.seconds, at_most=11):
        yield _text(_x(seconds, line), _BOTTOM + 22, f"{seconds:g}", anchor="middle")
    yield f'<path d="M{LEFT} {_BOTTOM}H{WIDTH - RIGHT}" stroke="{_INK}"/>'
    middle = TOP + PLOT_HEIGHT / 2
    yield f'<g transform="rotate(-90 16 {middle})">'
    yield _text(16, middle, "requests per second", anchor="middle")
    yield "</g>"
    yield _text(WIDTH - RIGHT, _BOTTOM + 38, "seconds", anchor="end")


def _areas(line: Timeline) -> Iterator[str]:
    """Stacked steps; a path goes along the top of a run of columns and back underneath."""
    floor = [0.0] * line.columns
    for band in line.bands:
        ceiling = [low + rate for low, rate in zip(floor, band.rates, strict=True)]
        runs = itertools.groupby(range(line.columns), key=lambda index: band.rates[index] > 0)
        steps = []
        for served, run in runs:
            if served:
                steps.append(_steps(list(run), floor, ceiling, line))
        if steps:
            yield f'<path d="{"".join(steps)}" fill="{_colour(band.slot, band.shade)}"/>'
        floor = ceiling


def _steps(run: list[int], floor: list[float], ceiling: list[float], line: Timeline) -> str:
    def edge(index: int) -> float:
        return _x(index * line.column, line)

    over = [f"V{_y(ceiling[index], line):.1f}H{edge(index + 1):.1f}" for index in run]
    under = [f"V{_y(floor[index], line):.1f}H{edge(index):.1f}" for index in reversed(run)]
    start = f"M{edge(run[0]):.1f} {_y(floor[run[0]], line):.1f}"
    return "".join([start, *over, *under, "Z"])


def _mark_lines(report: Report, marks: Sequence[Mark], line: Timeline) -> Iterator[str]:
    for number, (seconds, mark) in enumerate(placed(report, marks), start=1):
        x = _x(seconds, line)
        colour = _INK if mark.slot is None else _colour(mark.slot, 2)
        dashes = "2 3" if mark.slot is None else "6 3"
        yield (
            f'<path d="M{x:.1f} {TOP - 4}V{_BOTTOM}" stroke="{colour}" '
            f'stroke-dasharray="{dashes}"/>'
        )
        if len(marks) <= MARKS_LISTED:
            raised = 11 * ((number - 1) % _ROWS)
            yield _text(x, TOP - 7 - raised, str(number), anchor="middle", size=11)


def _failures(report: Report, line: Timeline) -> Iterator[str]:
    places = sorted({round(_x(failure.at, line)) for failure in report.failures})
    if places:
        steps = "".join(f"M{x} {_BOTTOM + 1}v8" for x in places)
        yield f'<path d="{steps}" stroke="{_FAILED}" stroke-width="2"/>'


def _legend(report: Report, marks: Sequence[Mark]) -> Iterator[str]:
    """The lines of text under the chart."""
    if len(marks) > MARKS_LISTED:
        yield _summed_up(marks)
    else:
        for number, (seconds, mark) in enumerate(placed(report, marks), start=1):
            to = "" if mark.slot is None else f" → {mark.slot}"
            took = "" if mark.took is None else f" ({duration(mark.took)})"
            yield f"{number}. {seconds:.1f} s: {mark.label}{to}{took}"
    if report.failed:
        kinds = ", ".join(f"{each.count:,} {each.kind}" for each in report.failure_counts)
        yield f"red: {report.failed:,} failure{'s' * (report.failed != 1)} ({kinds})"


def _summed_up(marks: Sequence[Mark]) -> str:
    taken = [mark.took for mark in marks if mark.took is not None and mark.slot is not None]
    switches = sum(mark.slot is not None for mark in marks)
    if not taken:
        return f"{switches} switches"
    median, slowest = duration(statistics.median(taken)), duration(max(taken))
    return f"{switches} switches: median {median}, slowest {slowest}"
