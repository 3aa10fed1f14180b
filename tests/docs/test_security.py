"""Each test that the page on security names is there."""

from __future__ import annotations

import ast
import re

from tests.docs.pages import CHECKOUT, read

_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_LISTED = re.compile(r"^- `tests/.*$", re.MULTILINE)


def test_every_test_that_is_named_exists() -> None:
    page = read("security.md")
    named = _NAMED.findall(page)
    assert len(named) == len(_LISTED.findall(page)) > 0
    for file, name in named:
        tree = ast.parse((CHECKOUT / file).read_text())
        functions = (
            each.name
            for each in ast.walk(tree)
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
        )
        assert name in functions, f"{file}::{name}"


def test_every_threat_that_tests_can_show_names_one() -> None:
    _, threats = read("security.md").split("\n## Threats\n")
    threats, _ = threats.split("\n## ", 1)
    without = [
        threat.partition("\n")[0]
        for threat in threats.split("\n### ")[1:]
        if not _NAMED.search(threat)
    ]
    assert without == ["A dependency that is known to be bad"]
