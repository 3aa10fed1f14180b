"""What the demo keeps account of: what was expected and came, and where traffic moved and when."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bluegreen.demo.timeline import Mark
from bluegreen.model import PhaseName, PhaseState, Slot


@dataclass(frozen=True, kw_only=True)
class Check:
    """Something that must come true, and whether it did."""

    held: bool
    text: str


def check(held: bool, text: str, *, found: str = "") -> Check:
    """``found`` is what there was instead."""
    return Check(held=held, text=text if held or not found else f"{text} (found: {found})")


@dataclass(kw_only=True)
class Account:
    """Filled as the demo goes on. ``switch_seconds`` are the API's own of each instant switch."""

    held: int = 0
    not_held: list[str] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    switch_seconds: list[float] = field(default_factory=list)

    def expect(self, *, held: bool, text: str) -> None:
        if held:
            self.held += 1
        else:
            self.not_held.append(text)


@dataclass(frozen=True, kw_only=True)
class SwitchTimes:
    """Of a number of switches, in seconds."""

    count: int
    median: float
    p99: float
    slowest: float


def switch_times(seconds: Sequence[float]) -> SwitchTimes | None:
    """None of none. The p99 is one of the times (nearest rank), and none in between."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return SwitchTimes(
        count=len(ordered),
        median=statistics.median(ordered),
        p99=ordered[math.ceil(0.99 * len(ordered)) - 1],
        slowest=ordered[-1],
    )


def failed_phase(documents: Sequence[dict[str, Any]]) -> str | None:
    """The phase in which an operation failed, of the documents that its command printed."""
    for event in documents:
        data = event.get("data", {})
        if event.get("kind") == "phase" and data["state"] == PhaseState.FAILED:
            return str(data["phase"])
    return None


def marks_of(documents: Sequence[dict[str, Any]]) -> list[Mark]:
    """Where an operation moved traffic, of the documents that its command printed; the last is the
    operation as it ended. One that has moved none is a mark without a slot."""
    operation = documents[-1]
    name = " ".join(filter(None, (operation["kind"], operation["version"])))
    moves = list(_moves(documents, operation, name))
    if moves:
        return moves
    label = f"{name}: {operation['state']}"
    if operation["state"] == "failed":
        label = f"{name}: refused in {failed_phase(documents)}"
    return [Mark(at=operation["created_at"], label=label)]


def _moves(
    documents: Sequence[dict[str, Any]], operation: dict[str, Any], name: str
) -> Iterator[Mark]:
    began = 0.0
    for event in documents[:-1]:
        data = event.get("data", {})
        if event.get("kind") != "phase" or data["phase"] != PhaseName.SWITCH:
            continue
        if data["state"] in (PhaseState.INTENT, PhaseState.UNDOING):
            began = event["at"]
        took = event["at"] - began
        if data["state"] == PhaseState.DONE:
            yield Mark(at=began, label=name, slot=Slot(operation["slot"]), took=took)
        if data["state"] == PhaseState.UNDONE and operation["from_slot"] is not None:
            slot = Slot(operation["from_slot"])
            yield Mark(at=began, label="switched back by itself", slot=slot, took=took)
