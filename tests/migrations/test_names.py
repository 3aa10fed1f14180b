"""What can be a migration's name."""

from __future__ import annotations

import pytest

from bluegreen.errors import UsageError
from bluegreen.migrations.names import LONGEST, check_name


@pytest.mark.parametrize(
    "name", ["0007_add_owner", "shop/0002", "V3__x.sql", "20240101-1:2", "a", "a" * LONGEST]
)
def test_names_of_the_usual_tools_are_names(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "text",
    ["", "-x", "a b", "a;b", "$(id)", "a\nb", "a'b", "../x", "a/../b", "/etc", "ä", "a" * 201],
)
def test_what_a_shell_or_a_path_could_mistake_is_none(text: str) -> None:
    with pytest.raises(UsageError):
        check_name(text)
