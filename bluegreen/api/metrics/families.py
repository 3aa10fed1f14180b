"""Families under their common prefix, and how distributions of seconds are told."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Protocol

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric

PREFIX = "bluegreen"
Families = list[Metric]


class Distribution(Protocol):
    """Of seconds, as `Durations` are."""

    @property
    def sum(self) -> float: ...

    def cumulative(self) -> list[tuple[float, int]]:
        """For each bound in seconds, the last of which is infinite, how many took no longer."""


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """What stands at some value now."""
    return GaugeMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def counter(name: str, text: str, *labels: str) -> CounterMetricFamily:
    """What only grows; its samples end in ``_total``."""
    return CounterMetricFamily(f"{PREFIX}_{name}", text, labels=labels)


def histogram(
    name: str, text: str, *labels: str, of: Iterable[tuple[tuple[str, ...], Distribution]]
) -> HistogramMetricFamily:
    """``of`` has the values of the labels with each distribution."""
    family = HistogramMetricFamily(f"{PREFIX}_{name}", text, labels=labels)
    for values, each in of:
        buckets = [(_le(bound), count) for bound, count in each.cumulative()]
        family.add_metric(values, buckets, each.sum)
    return family


def single(family: GaugeMetricFamily | CounterMetricFamily, value: float) -> Metric:
    """A family of one sample without labels."""
    family.add_metric([], value)
    return family


def _le(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else str(float(bound))
