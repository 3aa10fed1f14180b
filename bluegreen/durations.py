"""How long something took, counted in buckets as Prometheus has them."""

from __future__ import annotations

import bisect
from collections.abc import Sequence


class Durations:
    """A histogram of seconds. ``observe`` takes about a microsecond, and is safe in one thread."""

    def __init__(self, bounds: Sequence[float]) -> None:
        """``bounds`` are the buckets' upper ends in seconds, ascending."""
        self.bounds = tuple(bounds)
        self.sum = 0.0
        self._counts = [0] * (len(self.bounds) + 1)

    def observe(self, seconds: float) -> None:
        """Less than none, where a clock was set back, counts as none."""
        seconds = max(0.0, seconds)
        self.sum += seconds
        self._counts[bisect.bisect_left(self.bounds, seconds)] += 1

    @property
    def count(self) -> int:
        return sum(self._counts)

    def cumulative(self) -> list[tuple[float, int]]:
        """For each bound, how many took no longer; the last bound is infinite."""
        found, total = [], 0
        for bound, count in zip((*self.bounds, float("inf")), self._counts, strict=True):
            total += count
            found.append((bound, total))
        return found
