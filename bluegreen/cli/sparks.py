"""Requests and errors of both slots, second by second, as lines of small blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

from rich.text import Text

KEPT = 60  # seconds
SHOWN = (8, 30)  # seconds, at least and at most
BLOCKS = "▁▂▃▄▅▆▇█"
SLOTS = ("blue", "green")


def blocks_of(figures: Sequence[float], top: float) -> str:
    """A block a figure, from nothing to ``top``; whatever is more than nothing is seen."""
    levels = len(BLOCKS) - 1
    return "".join(
        BLOCKS[0] if figure <= 0 or top <= 0 else BLOCKS[max(1, round(levels * figure / top))]
        for figure in figures
    )


class Traffic:
    """What nginx told in the events ``watch`` of an operation."""

    def __init__(self) -> None:
        self._rates = {slot: deque[float](maxlen=KEPT) for slot in SLOTS}
        self._failed = {slot: deque[float](maxlen=KEPT) for slot in SLOTS}
        self._judged: dict[str, Any] | None = None

    @property
    def is_known(self) -> bool:
        return bool(self._rates[SLOTS[0]])

    def take(self, event: dict[str, Any]) -> None:
        data = event["data"]
        span = max(data["seconds"], 0.001)
        for slot in SLOTS:
            counts = data["slots"].get(slot, {"requests": 0, "failed": 0})
            self._rates[slot].append(counts["requests"] / span)
            self._failed[slot].append(counts["failed"] / span)
        self._judged = data["judged"]

    def end(self) -> None:
        """The operation has ended: nothing is judged any more."""
        self._judged = None

    def cells(self, slot: str, width: int) -> tuple[Text, Text]:
        """Requests and failed requests a second: ``width`` seconds of them, then the latest."""
        return (
            self._cell(self._rates, slot, width, style=slot),
            self._cell(self._failed, slot, width, style="red"),
        )

    def _cell(self, figures: dict[str, deque[float]], slot: str, width: int, *, style: str) -> Text:
        # Both slots to one scale.
        top = max((max(each, default=0.0) for each in figures.values()), default=0.0)
        shown = [*figures[slot]][-width:]
        latest = shown[-1] if shown else 0.0
        drawn = blocks_of(shown, top).rjust(width)
        return Text.assemble((drawn, style if any(shown) else "dim"), f" {latest:>5,.0f}")

    def verdict(self) -> str | None:
        """What the watch judges by just now, in words; None outside of one."""
        judged = self._judged
        if judged is None:
            return None
        limits, parts = judged["limits"], []
        failed = f"{100 * judged['error_rate']:.2g} % failed"
        if limits["error_rate"] is not None:
            failed += f" (limit {100 * limits['error_rate']:.2g} %)"
        parts = [f"{judged['slot']}: {judged['requests']:,} requests", failed]
        if judged["p99"] is not None:
            p99 = f"p99 {1000 * judged['p99']:.0f} ms"
            if limits["p99"] is not None:
                p99 += f" (limit {1000 * limits['p99']:.0f} ms)"
            parts.append(p99)
        return ", ".join([*parts, f"{judged['left']:.0f} s left"])
