"""Whether a release is worse than is allowed, by the requests that nginx has told of.

A verdict waits for evidence and no longer: it is looked for ten times a second, in the last second,
a quarter of the window, the window, and all since traffic came. Errors that come all at once are
seen in the shortest, few but steady ones in the longest.

What has just got its first requests is slow: of the first tenth of a window no times are judged.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from bluegreen.config.watch_section import Watch
from bluegreen.model import Slot
from bluegreen.watching.evidence import SURE, SURE_AT_THE_END, chance, chance_of_two
from bluegreen.watching.recording import Recording
from bluegreen.watching.tally import Tally
from bluegreen.words import counted

_SLOW = 0.01  # the share of requests that may take longer than the 99th percentile
_CLOCK = 0.001  # seconds: nginx's times are whole milliseconds
_SHORTEST = 1.0  # seconds that are looked at
_WARMING = 10  # of this part of a window no times are judged
NEVER = math.inf
# A 99th percentile of fewer is one or two requests.
_ENOUGH_TO_COMPARE = 100


@dataclass(frozen=True, kw_only=True)
class Before:
    """What the slot did that served before: until the watch began."""

    requests: int
    error_rate: float  # 0 to 1
    timed: int  # requests of which the time is known
    p99: float | None  # seconds; None: too few to say

    @classmethod
    def of(cls, tally: Tally) -> Before:
        return cls(
            requests=tally.requests,
            error_rate=tally.error_rate,
            timed=tally.timed,
            p99=tally.quantile(1 - _SLOW) if tally.timed >= _ENOUGH_TO_COMPARE else None,
        )

    @property
    def slow(self) -> int:
        """How many took longer than the 99th percentile."""
        return max(1, round(_SLOW * self.timed))

    def to_data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, kw_only=True)
class Worse:
    """A verdict: ``why``, in words; ``services`` are those that most of it is about, if known."""

    why: str
    services: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What is allowed: ``error_rate`` 0 to 1, times in seconds. None: anything.

    ``times_before`` is what the 99th percentile of before allows. An error rate that the version
    before had, too, is not this one's.
    """

    error_rate: float | None
    error_rate_said: str
    p99: float | None
    times_before: float | None
    before: Before | None
    ratio: float | None

    @classmethod
    def of(cls, watch: Watch, before: Before | None) -> Limits:
        rate, said, times = watch.max_error_rate, "", None
        if rate is not None:
            said = f"limit {percent(rate)}"
            known = before is not None and before.requests >= watch.min_requests
            if before is not None and known and before.error_rate > rate:
                rate, said = before.error_rate, f"before it were {percent(before.error_rate)}"
        if watch.max_p99_ratio is not None and before is not None and before.p99 is not None:
            times = watch.max_p99_ratio * before.p99 + _CLOCK
        return cls(
            error_rate=rate, error_rate_said=said, p99=watch.max_p99, times_before=times,
            before=before, ratio=watch.max_p99_ratio,
        )  # fmt: skip

    @property
    def strictest_p99(self) -> float | None:
        """Of both limits of time."""
        return min((one for one in (self.p99, self.times_before) if one is not None), default=None)

    def worse_by_errors(self, tally: Tally, sure: float) -> Worse | None:
        """The verdict on these requests, where the chance of a wrong one is less than ``sure``."""
        rate = self.error_rate
        if rate is None or chance(tally.failed, tally.requests, rate) >= sure:
            return None
        why = f"{percent(tally.error_rate)} of {tally.requests} requests failed"
        most = max(tally.by_service, key=lambda name: tally.by_service[name])
        return Worse(why=f"{why} ({self.error_rate_said})", services=(most,))

    def worse_by_times(self, tally: Tally, sure: float) -> Worse | None:
        """The same, on how long they took: whether more are slow than one of a hundred."""
        limit, said = self.p99, ""
        if limit is not None and chance(tally.slower_than(limit), tally.timed, _SLOW) < sure:
            said = f"limit {milliseconds(limit)}"
        elif (limit := self.times_before) is not None and self.before is not None:
            before = self.before
            slow = tally.slower_than(limit)
            if chance_of_two(slow, tally.timed, before.slow, before.timed) < sure:
                said = f"limit {milliseconds(limit)}: {self.ratio:g} times the "
                said += f"{milliseconds(before.p99 or 0.0)} of before"
        if not said:
            return None
        took = milliseconds(tally.quantile(1 - _SLOW) or 0.0)
        return Worse(why=f"the 99th percentile of {tally.timed} requests was {took} ({said})")


class Judge:
    """Of the release in ``slot``, on what is recorded. ``before`` None: there is nothing before."""

    def __init__(
        self, watch: Watch, recording: Recording, slot: Slot, before: Before | None
    ) -> None:
        self.slot = slot
        self.before = before
        self.limits = Limits.of(watch, before)
        self._watch = watch
        self._recording = recording
        self._warm_from = NEVER
        self._cold = Tally()  # what came until then

    def worse(self, now: float) -> Worse | None:
        """The verdict, once there is evidence for it; ``now`` is of the recording's clock."""
        whole, few = self._recording.of(self.slot), self._watch.min_requests
        warm_for = self._warm_for(now, whole)
        spans = self._spans
        warm_spans = {min(span, warm_for) for span in spans if warm_for > 0}
        last = self._recording.last(self.slot, {*spans, *warm_spans}, now)
        for tally in (*(last[span] for span in spans), whole):
            if tally.requests >= few and (verdict := self.limits.worse_by_errors(tally, SURE)):
                return verdict
        for tally in (*(last[span] for span in sorted(warm_spans)), whole.since(self._cold)):
            if tally.timed >= few and (verdict := self.limits.worse_by_times(tally, SURE)):
                return verdict
        return None

    def worse_at_the_end(self) -> Worse | None:
        """The verdict on all of it, with what is too few to be judged by left out."""
        whole, few = self._recording.of(self.slot), self._watch.min_requests
        warm = whole.since(self._cold)
        verdict: Worse | None = None
        if whole.requests >= few:
            verdict = self.limits.worse_by_errors(whole, SURE_AT_THE_END)
        if verdict is None and warm.timed >= few:
            verdict = self.limits.worse_by_times(warm, SURE_AT_THE_END)
        return verdict

    def _warm_for(self, now: float, whole: Tally) -> float:
        """Seconds since which times are judged; not of what came before that."""
        if self._warm_from == NEVER and whole.requests:
            self._warm_from = now + self._watch.window / _WARMING
        if now < self._warm_from:
            self._cold = Tally.of([whole])
            return 0.0
        return now - self._warm_from

    def too_few(self) -> str | None:
        """Why it could not be judged, in words; None: it could be, or nobody asks for it."""
        if not self._watch.has_limits:
            return None
        asked, came = self._watch.min_requests, self._recording.of(self.slot).requests
        if came < asked:
            return f"{_requests(came)} came, too few to judge it by (min_requests is {asked})"
        if self.limits.error_rate is None and self.limits.strictest_p99 is None:
            return "too few requests came before it to compare it with"
        return None

    def figures(self, now: float) -> dict[str, Any]:
        """What it is judged by just now; shares are 0 to 1, times in seconds."""
        window = self._watch.window
        lately = self._recording.last(self.slot, [window], now)[window]
        return {
            "slot": self.slot, **_figures(lately), **self._compared,
        }  # fmt: skip

    def outcome(self) -> dict[str, Any]:
        """The same of all of the watch."""
        return {**_figures(self._recording.of(self.slot)), **self._compared}

    @property
    def _compared(self) -> dict[str, Any]:
        return {
            "limits": {"error_rate": self.limits.error_rate, "p99": self.limits.strictest_p99},
            "before": None if self.before is None else self.before.to_data(),
        }

    @property
    def _spans(self) -> list[float]:
        """Seconds, the shortest first."""
        window = self._watch.window
        return sorted({_SHORTEST, max(_SHORTEST, window / 4), window})


def _figures(tally: Tally) -> dict[str, Any]:
    return {
        "requests": tally.requests, "failed": tally.failed,
        "error_rate": tally.error_rate, "p99": tally.quantile(1 - _SLOW),
    }  # fmt: skip


def _requests(count: int) -> str:
    return counted(count, "request") if count else "no request"


def percent(share: float) -> str:
    """``5.2 %``"""
    return f"{100 * share:.3g} %"


def milliseconds(seconds: float) -> str:
    """``43 ms`` or ``1.2 s``"""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
