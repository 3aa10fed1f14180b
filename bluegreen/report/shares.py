"""Which shares of the visitors a release had in steps, and since when, as a report tells it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.words import clock


@dataclass(frozen=True, kw_only=True)
class Led:
    """From ``at`` on (Unix seconds), so many percent went to ``slot``; 0: all were back."""

    at: float
    slot: str
    percent: int

    @property
    def says(self) -> str:
        return f"{self.percent} % to {self.slot}" if self.percent else "all back"


def led(events: Iterable[Mapping[str, Any]]) -> list[Led]:
    """Of the events ``share``, in order. A step that the next daemon has made again counts once.

    The first has some: of one that a daemon was killed in, before it said so, only its end is told.
    """
    found: list[Led] = []
    for event in events:
        if event["kind"] != "share":
            continue
        slot, percent = event["data"]["slot"], event["data"]["percent"]
        if percent != (found[-1].percent if found else 0):
            found.append(Led(at=event["at"], slot=slot, percent=percent))
    return found


def note(steps: Sequence[Led]) -> str:
    """Each with when it began."""
    return ", ".join(f"{step.says} at {clock(step.at)}" for step in steps)
