"""What nginx told of requests while releases went on, since the daemon was started."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from bluegreen.api.metrics.families import Families, counter, histogram
from bluegreen.model import Slot
from bluegreen.watching.tally import Tally, bounds_of

_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)  # seconds


@dataclass(frozen=True)
class _Times:
    """Those of a tally, as a histogram has them; their sum is that of its buckets' middles."""

    tally: Tally

    @property
    def sum(self) -> float:
        times = self.tally.times
        return sum(count * sum(bounds_of(bucket)) / 2000 for bucket, count in times.items())

    def cumulative(self) -> list[tuple[float, int]]:
        times = [(bounds_of(bucket)[1], count) for bucket, count in self.tally.times.items()]
        return [
            (bound, sum(count for longest, count in times if longest <= bound * 1000))
            for bound in (*_BOUNDS, math.inf)
        ]


def watch_families(
    totals: Mapping[tuple[str, Slot], Tally], apps: Collection[str], strange: int | None
) -> Families:
    """Of those ``apps``; ``strange`` datagrams are told of where they are not None."""
    requests = counter("watch_requests", "Requests while a release went on", "app", "slot", "class")
    errors = counter("watch_errors", "Those that were answered 5xx", "app", "slot")
    unreachable = counter(
        "watch_unreachable", "Of these, those that reached no service", "app", "slot"
    )
    shown = [(key, tally) for key, tally in totals.items() if key[0] in apps]
    for (app, slot), tally in shown:
        for name, count in {**tally.counts, "gone": tally.gone}.items():
            requests.add_metric([app, slot, name], count)
        errors.add_metric([app, slot], tally.failed)
        unreachable.add_metric([app, slot], tally.unreachable)
    families: Families = [
        requests, errors, unreachable,
        histogram(
            "watch_answer_seconds", "How long it took until their answers began", "app", "slot",
            of=[((app, slot), _Times(tally)) for (app, slot), tally in shown],
        ),
    ]  # fmt: skip
    if strange is not None:
        nonsense = counter("watch_strange", "Datagrams to the watch that were none of nginx's")
        nonsense.add_metric([], strange)
        families.append(nonsense)
    return families
