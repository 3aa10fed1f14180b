"""The requests of one app while an operation of it goes on: of each slot, lately and in all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bluegreen.model import Slot
from bluegreen.watching.line import Seen
from bluegreen.watching.tally import Tally

SLICES = 100  # that a window is kept in
LOOK = 0.1  # seconds between looks at what has come; no slice is shorter


@dataclass
class Slices:
    """What came within the last ``window`` seconds, in slices of a hundredth of it.

    Instants are of any clock that does not jump.
    """

    window: float
    _slices: deque[tuple[float, Tally]] = field(default_factory=deque)

    def add(self, seen: Iterable[Seen], now: float) -> Tally:
        """Count what has come just now; returned as well."""
        fresh = Tally()
        for one in seen:
            fresh.add(one)
        length = max(LOOK, self.window / SLICES)
        if not self._slices or now - self._slices[-1][0] >= length:
            self._slices.append((now, Tally()))
        self._slices[-1][1].take(fresh)
        while self._slices and self._slices[0][0] <= now - self.window:
            self._slices.popleft()
        return fresh

    def last(self, spans: Iterable[float], now: float) -> dict[float, Tally]:
        """What came within the last so many seconds, at most the window, for each of ``spans``."""
        found, running = {}, Tally()
        newest_first = reversed(self._slices)
        following = next(newest_first, None)
        for span in sorted(spans):
            while following is not None and following[0] > now - span:
                running.take(following[1])
                following = next(newest_first, None)
            found[span] = Tally.of([running])
        return found


@dataclass
class Recording:
    """Of one app. ``began`` is when nginx was told to tell."""

    app: str
    window: float
    began: float
    whole: dict[Slot, Tally] = field(default_factory=dict)
    _lately: dict[Slot, Slices] = field(default_factory=dict)
    _untold: dict[Slot, Tally] = field(default_factory=dict)

    def add(self, seen: Iterable[Seen], now: float) -> None:
        by_slot: dict[Slot, list[Seen]] = {}
        for one in seen:
            by_slot.setdefault(one.slot, []).append(one)
        for slot, ones in by_slot.items():
            lately = self._lately.setdefault(slot, Slices(self.window))
            fresh = lately.add(ones, now)
            self.whole.setdefault(slot, Tally()).take(fresh)
            self._untold.setdefault(slot, Tally()).take(fresh)

    def of(self, slot: Slot) -> Tally:
        """All since it began."""
        return self.whole.get(slot) or Tally()

    def last(self, slot: Slot, spans: Iterable[float], now: float) -> dict[float, Tally]:
        """See `Slices.last`."""
        return self._lately.setdefault(slot, Slices(self.window)).last(spans, now)

    def untold(self) -> Mapping[Slot, Tally]:
        """What came since this was last asked, of every slot that had any since it began."""
        told, self._untold = self._untold, {slot: Tally() for slot in self.whole}
        return told
