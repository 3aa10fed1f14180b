"""How sure it is that too many of the requests were bad, and not just chance."""

from __future__ import annotations

import math

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
    odds = math.log(allowed), math.log1p(-allowed)
    term = math.exp(
        math.lgamma(of + 1) - math.lgamma(bad + 1) - math.lgamma(of - bad + 1)
        + bad * odds[0] + (of - bad) * odds[1]
    )  # fmt: skip
    total, ratio = 0.0, allowed / (1 - allowed)
    for count in range(bad, of + 1):
        total += term
        term *= (of - count) / (count + 1) * ratio
        if term < _NEGLIGIBLE * total:
            break
    return min(total, 1.0)
