from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.env_file import read_env_file
from bluegreen.errors import ConfigError


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=1", "1"),
        ("A=", ""),
        ("export A=1", "1"),
        ("  A = 1  ", "1"),
        ("A=two words", "two words"),
        ("A=1 # a comment", "1"),
        ("A= # a comment", ""),
        ("A=1#2", "1#2"),
        ("A='x # $y \\n'", "x # $y \\n"),
        ('A="x # y"', "x # y"),
        ('A="a\\n\\t\\"b\\"\\\\" # c', 'a\n\t"b"\\'),
        ("A=it's", "it's"),
        ("A={port}", "{port}"),
        ("A=$HOME", "$HOME"),
        ("A=b=c", "b=c"),
        ("A=1\r", "1"),
    ],
)
def test_a_variable_a_line(tmp_path: Path, line: str, value: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"# a comment\n\n{line}\n  # another\n")
    assert read_env_file(file) == {"A": value}


def test_a_later_line_wins(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_text("A=1\nB=2\nA=3")
    assert read_env_file(file) == {"A": "3", "B": "2"}


@pytest.mark.parametrize(
    "line",
    ["hunter2", "A", "1A=hunter2", "A-B=hunter2", "A='hunter2", 'A="hunter2', "A='x'hunter2",
     "=hunter2", "A=hunter2\0", "export"],
)  # fmt: skip
def test_a_bad_line_is_named_by_its_number_and_not_quoted(tmp_path: Path, line: str) -> None:
    file = tmp_path / "env"
    file.write_text(f"A=1\n{line}\n")
    with pytest.raises(ConfigError) as caught:
        read_env_file(file)
    assert caught.value.message.startswith(f"{file}:2: ")
    assert "hunter2" not in "".join(caught.value.lines())


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_any_text_survives_double_quotes(value: str) -> None:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\r", "\\r")
    with tempfile.NamedTemporaryFile("w", newline="", encoding="utf-8") as file:
        file.write(f'A="{escaped}"\n')
        file.flush()
        assert read_env_file(Path(file.name)) == {"A": value}
