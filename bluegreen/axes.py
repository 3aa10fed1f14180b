"""Where the lines of a chart's axis are."""

from __future__ import annotations

import math


def ticks(top: float, *, at_most: int = 6) -> list[float]:
    """Round numbers from 0 to ``top``: multiples of 1, 2 or 5 times a power of ten."""
    if top <= 0:
        return [0.0]
    power = 10 ** math.floor(math.log10(top / at_most))
    step = next(power * factor for factor in (1, 2, 5, 10, 20) if top / (power * factor) < at_most)
    return [step * index for index in range(math.floor(top / step + 1e-9) + 1)]
