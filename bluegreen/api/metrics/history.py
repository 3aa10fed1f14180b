"""What the whole history says: how operations ended, and how long they and their phases took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from prometheus_client.core import SummaryMetricFamily

from bluegreen.api.metrics.families import PREFIX, Families, counter, histogram
from bluegreen.model import OperationKind, OperationState
from bluegreen.store.tally import Tally

# Told at 0 before the first one, so that the first one is an increase.
_RELEASED = (OperationState.SUCCEEDED, OperationState.FAILED, OperationState.ROLLED_BACK)
_EXPECTED = {
    **{kind: _RELEASED for kind in OperationKind if kind.is_release},
    OperationKind.SWITCH: (OperationState.SUCCEEDED, OperationState.FAILED),
}


def outcome_families(tally: Tally, apps: Collection[str]) -> Families:
    """Of those ``apps``."""
    ended = counter(
        "operations", "Operations that have ended, of the whole history", "app", "kind", "outcome"
    )
    took = SummaryMetricFamily(
        f"{PREFIX}_operation_seconds", "How long they took", labels=("app", "kind")
    )
    found: Counter[tuple[str, str, str]] = Counter()
    for app in apps:
        for release, states in _EXPECTED.items():
            found.update({(app, release.value, state.value): 0 for state in states})
    found.update({key: count for key, count in tally.outcomes.items() if key[0] in apps})
    counts: Counter[tuple[str, str]] = Counter()
    for (app, kind, state), count in found.items():
        ended.add_metric([app, kind, state], count)
        counts[app, kind] += count
    for (app, kind), count in counts.items():
        if count:
            took.add_metric([app, kind], count, tally.seconds[app, kind])
    return [ended, took]


def phase_families(tally: Tally) -> Families:
    """Of all apps together, so that there are as many whatever their number."""
    return [
        histogram(
            "phase_seconds", "How long phases took, of the whole history", "phase", "outcome",
            of=sorted(tally.phases.items()),
        ),
        histogram(
            "switch_seconds",
            "How long it took to move traffic: from the recorded intent until nginx has confirmed",
            of=[((), tally.switches)],
        ),
    ]  # fmt: skip
