"""A load's report laid out on a time axis, for the charts: columns, marks, numbers for people."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.demo.report import Report
from bluegreen.model import Slot


@dataclass(frozen=True, kw_only=True)
class Mark:
    """Something that was done during a load. With a ``slot``, traffic moved there."""

    at: float  # Unix seconds at which it began
    label: str  # "deploy v2", "switch back", "daemon killed"
    slot: Slot | None = None
    took: float | None = None  # seconds


@dataclass(frozen=True, kw_only=True)
class Band:
    """What one version answered from one slot: requests a second, a figure a column."""

    slot: str
    version: str
    shade: int  # 0 for the first version seen in that slot, 1 for the next
    rates: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Timeline:
    """A report in equal columns; ``bands`` are in stacking order, blue first."""

    bands: tuple[Band, ...]
    columns: int
    column: float  # seconds
    top: float  # requests a second, all bands together, in the busiest column

    @property
    def seconds(self) -> float:
        return self.columns * self.column


def timeline(report: Report, *, columns: int) -> Timeline:
    """``report`` in at most ``columns`` columns of one or more whole buckets.

    What does not fill a column at the end is left out, as it would look like a drop.
    """
    buckets = max(1, int(report.seconds / report.bucket))
    width = math.ceil(buckets / columns)
    count = max(1, buckets // width)
    seen: dict[str, int] = {}
    bands = []
    for series in report.series:
        shade = seen.get(series.slot, 0)
        seen[series.slot] = shade + 1
        rates = tuple(
            sum(series.counts[start : start + width]) / (width * report.bucket)
            for start in range(0, count * width, width)
        )
        bands.append(Band(slot=series.slot, version=series.version, shade=shade, rates=rates))
    bands.sort(key=lambda band: band.slot)
    totals = [sum(rates) for rates in zip(*(band.rates for band in bands), strict=True)]
    return Timeline(
        bands=tuple(bands),
        columns=count,
        column=width * report.bucket,
        top=max(totals, default=0.0),
    )


def placed(report: Report, marks: Sequence[Mark]) -> list[tuple[float, Mark]]:
    """The marks in order of time, each with its seconds since the load began."""
    ordered = sorted(marks, key=lambda mark: mark.at)
    return [(mark.at - report.started_at, mark) for mark in ordered]


def failures_after(report: Report, marks: Sequence[Mark]) -> list[int]:
    """For each mark, in order of time: the failures from then until the next mark."""
    starts = [seconds for seconds, _ in placed(report, marks)]
    ends = [*starts[1:], math.inf]
    return [
        sum(start <= failure.at < end for failure in report.failures)
        for start, end in zip(starts, ends, strict=True)
    ]


def duration(seconds: float) -> str:
    """``0.84 ms``, ``340 ms``, ``12.3 s``: three digits are enough."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.0f} ms" if milliseconds >= 100 else f"{milliseconds:.2g} ms"


def outcome(report: Report) -> str:
    """One sentence that says how everybody fared."""
    return (
        f"{report.requests:,} requests, {report.failed_requests:,} failed; "
        f"{report.websockets} WebSockets, {report.websockets_cut:,} cut; "
        f"{report.downloads_done:,} downloads, {report.downloads_broken:,} broken"
    )
