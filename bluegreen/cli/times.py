"""Options that are a time."""

from __future__ import annotations

from bluegreen.config.values import parse_duration
from bluegreen.errors import UsageError
from bluegreen.words import seconds


def time_of(option: str, text: str, longest: float) -> float:
    """Seconds, as in ``30s``: more than none, and at most ``longest``. Raises UsageError."""
    try:
        time = parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option}: {text!r} is no time", remedy=f"write {error}") from error
    if not 0 < time <= longest:
        raise UsageError(
            f"{option}: {text!r} is too {'long' if time else 'short'}",
            remedy=f"write a time of more than 0s, and at most {seconds(longest)}",
        )
    return time
