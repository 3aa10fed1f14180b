"""docs/commands.md against the parser, and every command line of the pages."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator

import pytest

from bluegreen.cli.parser import _Commands, parse
from bluegreen.errors import UsageError
from tests.docs.pages import Block, command_lines, read, sections

_COMMON = {"--root", "--json", "--help", "-h"}


def _commands(
    parser: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands that can be typed, such as ``switch back``."""
    inner = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not inner:
        yield name, parser
    for action in inner:
        for word, command in action.choices.items():
            yield from _commands(command, f"{name} {word}".strip())


COMMANDS = dict(_commands(_Commands().parser))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_described_with_its_options(name: str) -> None:
    section = sections(read("commands.md"))[name]
    synopsis = re.search(rf"^`bluegreen {name}\b(.*)`$", section, re.MULTILINE)
    assert synopsis is not None
    for action in COMMANDS[name]._actions:
        for option in set(action.option_strings) - _COMMON:
            assert option in synopsis[1], option
            assert re.search(rf"^\| `{option}\b.*` \|", section, re.MULTILINE), option
        if not action.option_strings:
            word = str(action.metavar or "|".join(action.choices or ()))
            assert word in synopsis[1], word


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_described_that_does_not_exist(name: str) -> None:
    section = sections(read("commands.md"))[name]
    known = {option for action in COMMANDS[name]._actions for option in action.option_strings}
    assert set(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE)) <= known


def test_the_options_of_every_command_are_described() -> None:
    section = sections(read("commands.md"))["Every command"]
    for option in {*_COMMON, "--version"}:
        assert f"`{option}" in section, option


def test_every_exit_status_is_described() -> None:
    section = sections(read("commands.md"))["Every command"]
    for status in (0, 1, 2, 3, 4, 5, 130):
        assert f"| {status} |" in section, status


@pytest.mark.parametrize(
    ("block", "line"), list(command_lines()), ids=[f"{b}: {line}" for b, line in command_lines()]
)
def test_every_command_line_on_a_page_can_be_typed(block: Block, line: str) -> None:
    words = shlex.split(line, comments=True)
    try:
        parse(words[1:])
    except (SystemExit, UsageError):
        pytest.fail(f"{block}: {line}")
