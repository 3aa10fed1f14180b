"""What a benchmark has measured, and how it compares with its goal."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One measured value. ``goal`` None: shown for comparison, with nothing to reach."""

    name: str
    value: float
    unit: str  # "ms", "s", "MB", "times", "%", "requests/s", "requests" and the like
    goal: float | None = None
    at_least: bool = False  # the goal is a floor; else a ceiling

    @property
    def reached(self) -> bool | None:
        if self.goal is None:
            return None
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    @property
    def goal_text(self) -> str:
        if self.goal is None:
            return ""
        return f"{'≥' if self.at_least else '≤'} {number(self.goal)} {self.unit}"

    @property
    def value_text(self) -> str:
        return f"{number(self.value)} {self.unit}"

    @property
    def verdict(self) -> str:
        return {None: "", True: "yes", False: "no"}[self.reached]

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "reached": self.reached}


def number(value: float) -> str:
    """Three significant digits, and never an exponent."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    digits = max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:.{digits}f}"


def table(bench: str, figures: Sequence[Figure]) -> Table:
    """The figures of one benchmark, for a terminal."""
    built = Table(title=bench, title_justify="left", show_edge=False, pad_edge=False)
    built.add_column("figure")
    built.add_column("measured", justify="right")
    built.add_column("goal", justify="right")
    built.add_column("reached")
    for figure in figures:
        built.add_row(figure.name, figure.value_text, figure.goal_text, figure.verdict)
    return built


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def p99(values: Sequence[float]) -> float:
    """The 99th percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(0.99 * len(ordered)) - 1)]
