"""What nginx told of the requests of both slots around a switch, as a report shows it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SLOTS = ("blue", "green")


@dataclass(frozen=True, kw_only=True)
class Seconds:
    """What the slots answered in a second or so, from ``start`` to ``end`` (Unix seconds).

    Rates are requests a second; latencies are in seconds, None without a request.
    """

    start: float
    end: float
    rate: Mapping[str, float]
    failed: Mapping[str, float]
    p50: Mapping[str, float | None]
    p99: Mapping[str, float | None]


@dataclass(frozen=True, kw_only=True)
class Total:
    """Of one slot: all of what was recorded. ``slowest`` is the worst second's p99."""

    slot: str
    requests: int
    failed: int
    unreachable: int
    slowest: float | None

    @property
    def error_rate(self) -> float:
        """A share, from 0 to 1."""
        return self.failed / self.requests if self.requests else 0.0


def recorded(events: Iterable[Mapping[str, Any]]) -> list[Seconds]:
    """Of the events ``watch``, in order. A slot without requests in a second has answered none."""
    found = []
    for event in events:
        if event["kind"] != "watch":
            continue
        data, span = event["data"], max(event["data"]["seconds"], 0.001)
        slots = {slot: data["slots"].get(slot, {}) for slot in SLOTS}
        found.append(
            Seconds(
                start=event["at"] - span,
                end=event["at"],
                rate={slot: one.get("requests", 0) / span for slot, one in slots.items()},
                failed={slot: one.get("failed", 0) / span for slot, one in slots.items()},
                p50={slot: one.get("p50") for slot, one in slots.items()},
                p99={slot: one.get("p99") for slot, one in slots.items()},
            )
        )
    return found


def totals(events: Sequence[Mapping[str, Any]]) -> list[Total]:
    """Of each slot that had requests."""
    found = []
    for slot in SLOTS:
        seen = [
            event["data"]["slots"][slot]
            for event in events
            if event["kind"] == "watch" and slot in event["data"]["slots"]
        ]
        if not any(one["requests"] for one in seen):
            continue
        found.append(
            Total(
                slot=slot,
                requests=sum(one["requests"] for one in seen),
                failed=sum(one["failed"] for one in seen),
                unreachable=sum(one["unreachable"] for one in seen),
                slowest=max((one["p99"] for one in seen if one["p99"] is not None), default=None),
            )
        )
    return found
