"""What an app file may not have beside ``assets`` of a route."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration
from tests.config.test_hold_use import load

ROUTE = """
ports = { blue = 9001, green = 9002 }
[[routes]]
path = "/static/"
service = "api"
assets = "dist"
"""
OTHER = '[[routes]]\npath = "/a"\nservice = "api"\n'


@pytest.mark.parametrize(
    ("app", "more", "wrong", "right"),
    [
        ("", '\n[nginx]\nmode = "upstream"\n', "no route of bluegreen's is asked", '"snippet"'),
        ('shared = ["dist"]', "", "dist is shared: both versions have the same", "the build"),
        ("", f"{OTHER}assets = '{{slot_dir}}/a'", "a placeholder, and none is expanded", "dist"),
    ],
)
def test_assets_of_which_none_could_be_kept_are_refused(
    tmp_path: Path, app: str, more: str, wrong: str, right: str
) -> None:
    with pytest.raises(InvalidConfiguration) as refused:
        load(tmp_path, ROUTE + more, app)
    (problem,) = refused.value.problems
    assert problem.key.endswith(".assets")
    assert wrong in problem.wrong
    assert right in problem.right
    assert load(tmp_path, ROUTE).assets == {"/static/": "dist"}
    other = 'shared = ["dis"]'
    assert load(tmp_path, ROUTE, other).assets == {"/static/": "dist"}
