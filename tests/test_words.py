"""Times in words."""

from __future__ import annotations

import pytest

from bluegreen.words import seconds


@pytest.mark.parametrize(
    ("duration", "words"), [(0.0123, "12 ms"), (250, "4 min 10 s"), (-17998.93, "0 ms")]
)
def test_a_duration_is_never_negative(duration: float, words: str) -> None:
    assert seconds(duration) == words
