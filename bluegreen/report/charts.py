"""Requests, errors and latency of both slots over one axis of time, as SVG without a script.

Its colours are the page's, by classes, so that it is light or dark as the page is. The two slots
differ by the kind of their line, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from bluegreen.axes import ticks
from bluegreen.report.watched import SLOTS, Seconds

WIDTH, HEIGHT = 880, 120  # of the whole, and of one panel
LEFT, RIGHT, TOP, GAP = 58, 14, 42, 34
_ROW = 15  # between what is said of two moments
_ABOVE = 12  # the first of them
_SAID = 120  # what is said of one takes at most
_PLOT = WIDTH - LEFT - RIGHT
_MOST_TICKS = 4  # of a panel's own axis
_SHORTEST = 5.0  # seconds that the axis covers

_Of = Callable[[Seconds, str], float | None]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """When traffic moved, in Unix seconds, and what is written there."""

    at: float
    says: str


@dataclass(frozen=True, kw_only=True)
class _Panel:
    title: str
    unit: str
    figure: _Of
    scale: float = 1.0  # of the numbers on the axis


_PANELS = (
    _Panel(title="Requests per second", unit="", figure=lambda one, slot: one.rate[slot]),
    _Panel(title="Failed requests per second", unit="", figure=lambda one, slot: one.failed[slot]),
    _Panel(
        title="99th percentile of the time until an answer began", unit=" ms",
        figure=lambda one, slot: one.p99[slot], scale=1000.0,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class _Axis:
    start: float  # Unix seconds
    end: float
    zero: float

    def x(self, at: float) -> float:
        return LEFT + _PLOT * (at - self.start) / (self.end - self.start)

    def marks(self) -> Iterator[float]:
        """Round numbers of seconds before and after ``zero``."""
        steps = ticks(self.end - self.start, at_most=10)
        step = steps[1] if len(steps) > 1 else self.end - self.start
        first = math.ceil((self.start - self.zero) / step)
        last = math.floor((self.end - self.zero) / step)
        yield from (step * number for number in range(first, last + 1))


def charts(seen: Sequence[Seconds], moments: Sequence[Moment]) -> str | None:
    """The panels; None where there is too little to draw. Times count from the first moment."""
    if len(seen) < 2:
        return None
    start, end = seen[0].start, max(seen[-1].end, seen[0].start + _SHORTEST)
    axis = _Axis(start, end, moments[0].at if moments else start)
    shown = [moment for moment in moments if start <= moment.at <= end]
    top = max(TOP, _ROW * len(shown) + _ABOVE)
    height = top + len(_PANELS) * (HEIGHT + GAP) + 4
    bottom = top + len(_PANELS) * HEIGHT + (len(_PANELS) - 1) * GAP
    parts = [
        f'<svg class="charts" viewBox="0 0 {WIDTH} {height}" role="img" '
        'aria-label="Requests, failed requests and latency of both slots over time; the table '
        'below has the totals">'
    ]
    for number, panel in enumerate(_PANELS):
        parts += _panel(panel, seen, axis, top + number * (HEIGHT + GAP))
    for row, moment in enumerate(reversed(shown)):
        x, y = axis.x(moment.at), top - 8 - _ROW * row
        parts.append(f'<path class="moment" d="M{x:.1f} {y - 10}V{bottom}"/>')
        near_the_end = x > WIDTH - _SAID
        anchor, shift = ("end", -5) if near_the_end else ("start", 5)
        parts.append(_text(x + shift, y, moment.says, "moment-says", anchor))
    for seconds in axis.marks():
        parts.append(
            _text(axis.x(axis.zero + seconds), bottom + 18, f"{seconds:g} s", "tick", "middle")
        )
    parts.append("</svg>")
    return "".join(parts)


def _panel(panel: _Panel, seen: Sequence[Seconds], axis: _Axis, top: float) -> Iterator[str]:
    figures = [panel.figure(one, slot) for one in seen for slot in SLOTS]
    highest = max((one for one in figures if one is not None), default=0.0) * panel.scale
    steps = ticks(highest, at_most=_MOST_TICKS)
    ceiling = highest * 1.05 or 1.0
    bottom = top + HEIGHT

    def y(value: float) -> float:
        return bottom - (HEIGHT - 18) * value * panel.scale / ceiling

    yield _text(LEFT, top + 8, panel.title, "panel-title", "start")
    for step in steps:
        line = y(step / panel.scale)
        yield f'<path class="grid" d="M{LEFT} {line:.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 8, line + 4, f"{step:,g}{panel.unit}", "tick", "end")
    if not highest:
        yield _text(LEFT + _PLOT / 2, y(0) - 8, "none", "tick", "middle")
        return
    for slot in SLOTS:
        if any(panel.figure(one, slot) for one in seen):
            yield f'<path class="line {slot}" d="{_line(panel.figure, slot, seen, axis, y)}"/>'


def _line(
    figure: _Of, slot: str, seen: Sequence[Seconds], axis: _Axis, y: Callable[[float], float]
) -> str:
    """In steps, each as wide as it was measured; broken off where there is no figure."""
    parts, joined = [], False
    for one in seen:
        value = figure(one, slot)
        if value is not None:
            height = f"{y(value):.1f}"
            parts.append(f"V{height}" if joined else f"M{axis.x(one.start):.1f} {height}")
            parts.append(f"H{axis.x(one.end):.1f}")
        joined = value is not None
    return "".join(parts)


def _text(x: float, y: float, words: str, kind: str, anchor: str) -> str:
    return (
        f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">'
        f"{escape(words)}</text>"
    )
