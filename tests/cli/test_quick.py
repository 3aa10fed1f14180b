"""A switch understood without a parser: as the parser would, or not at all."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluegreen.cli.parser import parse
from bluegreen.cli.quick import plain_switch

UNDERSTOOD = [
    ["switch", "back"],
    ["switch", "back", "shop"],
    ["switch", "to", "green"],
    ["switch", "to", "blue", "shop"],
    ["--root", "/srv/one", "switch", "back"],
    ["switch", "back", "--json", "--root", "/srv/one"],
    ["switch", "--json", "to", "blue", "--root", "relative/../two"],
]
LEFT_TO_THE_PARSER = [
    [],
    ["status"],
    ["switch"],
    ["switch", "to"],
    ["switch", "to", "red"],
    ["switch", "back", "--help"],
    ["switch", "back", "shop", "another"],
    ["switch", "back", "--root"],
    ["switch", "back", "--root", "--json"],
    ["switch", "back", "--root=/srv/one"],
    ["switch", "back", "--", "shop"],
    ["back", "switch"],
]


@pytest.mark.parametrize("typed", UNDERSTOOD, ids=" ".join)
def test_what_it_understands_means_the_same_to_the_parser(
    typed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BLUEGREEN_ROOT", "/srv/another")
    asked, parsed = plain_switch(typed), parse(typed)
    assert asked is not None
    assert (asked.slot, asked.app, asked.json) == (parsed.slot, parsed.app, parsed.json)
    assert Path(asked.root) == Path(parsed.root).resolve()


@pytest.mark.parametrize("typed", LEFT_TO_THE_PARSER, ids=" ".join)
def test_everything_else_is_left_to_the_parser(typed: list[str]) -> None:
    assert plain_switch(typed) is None


def test_a_switch_imports_neither_a_parser_nor_what_takes_as_long() -> None:
    code = (
        "import sys; from bluegreen.cli import main;"
        "main(['switch', 'back', 'shop', '--root', '/nonexistent']);"
        "print(sorted({'argparse', 'pathlib', 'typing', 'urllib.parse'} & sys.modules.keys()))"
    )
    ended = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "no daemon answers on /nonexistent/run/bluegreen/control.sock" in ended.stderr
    assert ended.stdout.strip() == "[]"
