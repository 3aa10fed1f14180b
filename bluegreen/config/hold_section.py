"""``[hold]``: for how long a release may have an app's requests wait."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from bluegreen.config.refusal import ValueRefusedError
from bluegreen.config.section import Section
from bluegreen.config.values import PositiveDuration
from bluegreen.gate.hold_file import LONGEST_HOLD

SHORTEST_HOLD = 20.0  # seconds: nginx has five to confirm a switch, and a way back has to fit, too


def _bearable(seconds: float) -> float:
    right = (
        f"Write how long a visitor may wait at most, from {SHORTEST_HOLD:g} seconds to "
        f'{LONGEST_HOLD / 60:g} minutes, such as "60s"'
    )
    if seconds < SHORTEST_HOLD:
        wrong = f"in less than {SHORTEST_HOLD:g} s no release comes up, nor is it taken back"
        raise ValueRefusedError(wrong, right)
    if seconds > LONGEST_HOLD:
        wrong = f"no request is held for more than {LONGEST_HOLD / 60:g} minutes"
        raise ValueRefusedError(wrong, right)
    return seconds


class HoldSection(Section):
    """``[hold]``. What is left of ``limit`` after `forward` is for the way back."""

    limit: Annotated[PositiveDuration, AfterValidator(_bearable)] = 60.0

    @property
    def forward(self) -> float:
        """Seconds within which traffic has to be on the new release."""
        return self.limit * 2 / 3
