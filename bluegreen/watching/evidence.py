"""How sure it is that too many of the requests were bad, and not just chance."""

from __future__ import annotations

import math
from collections.abc import Iterable

SURE = 0.001  # the chance of a wrong verdict at a look, of which there are ten a second
SURE_AT_THE_END = 0.05  # of the one look at all of them, once the watch is over
_NEGLIGIBLE = 1e-12


def chance(bad: int, of: int, allowed: float) -> float:
    """How likely ``bad`` or more are ``of`` so many where a share of ``allowed`` is (0 to 1).

    The upper tail of the binomial distribution; 1 where there are no more than are allowed.
    """
    if bad <= allowed * of:
        return 1.0
    if allowed == 0:
        return 0.0
    first = _log_choices(of, bad) + bad * math.log(allowed) + (of - bad) * math.log1p(-allowed)
    odds = allowed / (1 - allowed)
    ratios = ((of - count) / (count + 1) * odds for count in range(bad, of))
    return _tail(first, ratios)


def chance_of_two(bad: int, of: int, bad_before: int, before: int) -> float:
    """How likely ``bad`` or more are of the first ``of``, were the two alike.

    Fisher's exact test, one-sided: both are samples, and of few nobody knows much. 1 where the
    share of bad ones is no greater than before.
    """
    if not of or not before or bad * before <= bad_before * of:
        return 1.0
    good_before, all_bad = before - bad_before, bad + bad_before
    first = (
        _log_choices(of, bad) + _log_choices(before, bad_before)
        - _log_choices(of + before, all_bad)
    )  # fmt: skip
    most = min(of, all_bad)
    ratios = (
        (of - count) / (count + 1) * (all_bad - count) / (good_before + count - bad + 1)
        for count in range(bad, most)
    )
    return _tail(first, ratios)


def _log_choices(of: int, count: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)


def _tail(first: float, ratios: Iterable[float]) -> float:
    """The sum of terms, of which the logarithm of the first and each one's ratio to the last is."""
    term = math.exp(first)
    total = term
    for ratio in ratios:
        term *= ratio
        total += term
        if term < _NEGLIGIBLE * total:
            break
    return min(total, 1.0)
