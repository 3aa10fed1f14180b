"""systemd's own quoting, escapes, specifiers and time spans."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.survey.unit_words import expanded, seconds, specifiers, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/bin/a  b\tc", ["/bin/a", "b", "c"]),
        ("""a "b c" 'd e' f"g h"i""", ["a", "b c", "d e", "fg hi"]),
        (r"""\x20a\sb "c\"d" 'e\'f' \\ \101 \u00e9""", [" a b", 'c"d', "e'f", "\\", "A", "é"]),
        ("a '' \"\"", ["a", "", ""]),
        ("--x='{\"a\": 1}'", ['--x={"a": 1}']),
        ("", []),
    ],
)
def test_words_are_split_as_systemd_does_it(text: str, words: list[str]) -> None:
    assert split_words(text) == words


@pytest.mark.parametrize("text", ['a "b', "it's", "a\\", "\\q", "\\x0", "\\x00", "\\ud800"])
def test_what_systemd_refuses_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"quote|escape"):
        split_words(text)


@given(st.text())
def test_any_text_is_split_or_refused(text: str) -> None:
    try:
        words = split_words(text)
    except ValueError:
        return
    assert all("\0" not in word for word in words) or "\0" in text


@pytest.mark.parametrize(
    ("unit", "text", "expected"),
    [
        ("shop-api.service", "%n %N %p %i.", "shop-api.service shop-api shop-api ."),
        ("shop-api.service", "%j %%h %t %S", "api %h /run /var/lib"),
        ("shop@9001.service", "%n %N %p %i %I", "shop@9001.service shop@9001 shop 9001 9001"),
        (r"shop@a-b\x2dc.service", "%i %I %f", r"a-b\x2dc a/b-c /a/b-c"),
    ],
)  # fmt: skip
def test_specifiers_are_those_of_the_unit(unit: str, text: str, expected: str) -> None:
    assert expanded(text, specifiers(unit)) == (expected, True)


def test_specifiers_of_the_machine_are_not_known() -> None:
    assert expanded("%H-%i", specifiers("a@b.service")) == ("%H-b", False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("1min 30s", 90), ("5min", 300), ("2h", 7200), ("500ms", 0.5), ("1.5s", 1.5),
     ("infinity", None), ("", None), ("5 parsecs", None), ("-1", None)],
)  # fmt: skip
def test_time_spans(text: str, expected: float | None) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("name", ["a-b", "a\\x2db", "srv-shop"])
def test_names_are_unescaped_as_systemd_escape_does_it(name: str) -> None:
    said = subprocess.run(
        ["systemd-escape", "--unescape", name], capture_output=True, text=True, check=True,
        timeout=10,
    ).stdout  # fmt: skip
    assert specifiers(f"x@{name}.service")["I"] == said.removesuffix("\n")
