"""When a receiver is asked again, and when it is given up: what an answer makes of its progress."""

from __future__ import annotations

from dataclasses import dataclass, replace

from bluegreen.notifications.answer import Answer, Outcome
from bluegreen.store.outbox import Progress


@dataclass(frozen=True, kw_only=True)
class Patience:
    """Times in seconds. A pause is twice the one before, and half of it is left to chance."""

    first: float = 5.0
    longest: float = 3600.0
    asked_for: float = 6 * 3600.0  # the longest that a receiver may ask for
    life: float = 3 * 86400.0  # of a message that is not taken
    refusals: int = 5  # of one message by a receiver that may take others


def is_too_old(at: float, now: float, patience: Patience) -> bool:
    """Whether what happened ``at`` is told no more."""
    return now - at > patience.life


def next_step(
    progress: Progress, event: int, answer: Answer, *, now: float, chance: float, patience: Patience
) -> Progress:
    """The progress after an attempt at ``event``. ``chance`` is from 0 to 1."""
    if answer.outcome in (Outcome.ACCEPTED, Outcome.NOTHING):
        told = answer.outcome is Outcome.ACCEPTED
        return replace(
            progress, cursor=event, refusals=0, failures=0, failing_since=None, retry_at=None,
            last_success_at=now if told else progress.last_success_at,
            delivered=progress.delivered + told,
        )  # fmt: skip
    said = replace(progress, last_error=answer.said, last_error_at=now)
    if answer.outcome is Outcome.GONE:
        return replace(said, gone_at=now, retry_at=None)
    refusals = progress.refusals + (answer.outcome is Outcome.REFUSED)
    if answer.outcome is Outcome.REFUSED and refusals >= patience.refusals:
        return replace(dropped(said, event), failures=0, failing_since=None, retry_at=None)
    pause = max(_pause(progress.failures, chance, patience), _asked_for(answer, patience))
    return replace(
        said, refusals=refusals, failures=progress.failures + 1, retry_at=now + pause,
        failing_since=now if progress.failing_since is None else progress.failing_since,
    )  # fmt: skip


def dropped(progress: Progress, event: int) -> Progress:
    """The same, with ``event`` left untold."""
    return replace(progress, cursor=event, refusals=0, dropped=progress.dropped + 1)


def until_retry(progress: Progress, now: float, patience: Patience) -> float:
    """Seconds to wait before the next attempt; a clock that was set back does not prolong them."""
    if progress.retry_at is None:
        return 0.0
    return min(max(0.0, progress.retry_at - now), max(patience.longest, patience.asked_for))


def _pause(failures: int, chance: float, patience: Patience) -> float:
    whole = min(patience.longest, patience.first * 2.0 ** min(failures, 40))
    return whole * (0.5 + 0.5 * chance)


def _asked_for(answer: Answer, patience: Patience) -> float:
    return min(answer.retry_after or 0.0, patience.asked_for)
