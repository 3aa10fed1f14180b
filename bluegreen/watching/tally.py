"""Requests counted: how many, how they ended, and how long they took, in a bounded memory.

Times are kept in the buckets of a histogram: exact below 64 ms, and within 3.2 % above.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from bluegreen.watching.line import Seen

_K = TypeVar("_K")

CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_MOST_SERVICES = 100  # that are told apart
_EXACT = 64  # milliseconds
_HALF = 32  # buckets an octave above that
_LONGEST = 2**22 - 1  # milliseconds, more than an hour


def bucket_of(milliseconds: int) -> int:
    """The number of the bucket that a time is kept in."""
    if milliseconds < _EXACT:
        return milliseconds
    value = min(milliseconds, _LONGEST)
    octave = value.bit_length() - 6
    return _EXACT + (octave - 1) * _HALF + (value >> octave) - _HALF


def bounds_of(bucket: int) -> tuple[int, int]:
    """The shortest and the longest time in a bucket, in milliseconds."""
    if bucket < _EXACT:
        return bucket, bucket
    octave, place = divmod(bucket - _EXACT, _HALF)
    shortest = (place + _HALF) << (octave + 1)
    return shortest, shortest + (1 << (octave + 1)) - 1


@dataclass
class Tally:
    """``failed`` are those of 5xx; ``unreachable``, of these, reached no service.

    ``gone`` are those whose clients went away first; they are in no class. ``by_service`` has the
    failed ones, ``times`` how many took as long as a bucket says.
    """

    requests: int = 0
    gone: int = 0
    unreachable: int = 0
    classes: list[int] = field(default_factory=lambda: [0] * len(CLASSES))
    by_service: dict[str, int] = field(default_factory=dict)
    times: dict[int, int] = field(default_factory=dict)

    def add(self, seen: Seen) -> None:
        self.requests += 1
        if seen.is_gone:
            self.gone += 1
        else:
            self.classes[seen.status // 100 - 1] += 1
            if seen.status >= 500 and len(self.by_service) < _MOST_SERVICES:
                self.by_service[seen.service] = self.by_service.get(seen.service, 0) + 1
        if seen.milliseconds is not None:
            bucket = bucket_of(seen.milliseconds)
            self.times[bucket] = self.times.get(bucket, 0) + 1
        elif seen.status >= 500:
            self.unreachable += 1

    def take(self, other: Tally) -> None:
        """Add what ``other`` has counted."""
        self.requests += other.requests
        self.gone += other.gone
        self.unreachable += other.unreachable
        for index, count in enumerate(other.classes):
            self.classes[index] += count
        _merge(self.times, other.times)
        _merge(self.by_service, other.by_service)

    def since(self, earlier: Tally) -> Tally:
        """What has come after ``earlier``, a copy of this one, was made."""
        return Tally(
            requests=self.requests - earlier.requests,
            gone=self.gone - earlier.gone,
            unreachable=self.unreachable - earlier.unreachable,
            classes=[a - b for a, b in zip(self.classes, earlier.classes, strict=True)],
            by_service=_difference(self.by_service, earlier.by_service),
            times=_difference(self.times, earlier.times),
        )

    @classmethod
    def of(cls, tallies: Iterable[Tally]) -> Tally:
        """All of them together."""
        whole = cls()
        for tally in tallies:
            whole.take(tally)
        return whole

    @property
    def failed(self) -> int:
        return self.classes[4]

    @property
    def error_rate(self) -> float:
        """The share of failed requests, 0 to 1; 0 of none."""
        return self.failed / self.requests if self.requests else 0.0

    @property
    def timed(self) -> int:
        """Those whose time is known."""
        return sum(self.times.values())

    def quantile(self, share: float) -> float | None:
        """Seconds within which that ``share`` of the answers began; None of none."""
        left = share * self.timed
        for bucket in sorted(self.times):
            left -= self.times[bucket]
            if left <= 1e-9:
                return bounds_of(bucket)[1] / 1000
        return None

    def slower_than(self, seconds: float) -> int:
        """How many certainly took longer."""
        return sum(
            count for bucket, count in self.times.items() if bounds_of(bucket)[0] > seconds * 1000
        )

    @property
    def counts(self) -> Mapping[str, int]:
        """By class of status, for people."""
        return dict(zip(CLASSES, self.classes, strict=True))


def _merge(mine: dict[_K, int], more: Mapping[_K, int]) -> None:
    for key, count in more.items():
        mine[key] = mine.get(key, 0) + count


def _difference(mine: Mapping[_K, int], less: Mapping[_K, int]) -> dict[_K, int]:
    left = {key: count - less.get(key, 0) for key, count in mine.items()}
    return {key: count for key, count in left.items() if count}
