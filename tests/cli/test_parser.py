"""What is typed is what is meant."""

from __future__ import annotations

import pytest

from bluegreen.cli.parser import parse
from bluegreen.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("deploy", "monitor", "v1", "--forc"), "--forc"),
        (("rollback", "monitor", "--rest", "6", "--y"), "--rest 6 --y"),
        (("switch", "back", "monitor", "--emerg"), "--emerg"),
        (("token", "create", "ci", "--scop", "deploy"), "--scope"),
    ],
)
def test_an_option_is_not_taken_for_a_longer_one(typed: tuple[str, ...], told: str) -> None:
    """What one letter more makes of a command may be what nobody can take back."""
    with pytest.raises(UsageError) as refused:
        parse(typed)
    assert told in refused.value.message
