from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.places import Place, dotted, line_at, lines_of_keys

DOCUMENT = '''\
# a comment with [brackets] and = signs
top = 1

[services.api]   # a header
command = "a # b = [c]"
ports = { blue = 1, green = 2 }
"quoted.key" = 1
env.HOME.x = 'y'
text = """
[not.a.header]
key = 1 \\""" still """""
list = [
  1,   # one
  "two]",
  { three = 3 },
  [4,
   5],
]

[[routes]]
path = "/"
[[routes]]
path = "/b"
when = 1979-05-27 07:32:00
[routes.inner]
deep = true
[[routes.more]]
a = 1
[[routes.more]]
a = \'\'\'
it's\'\'\'
'''


def test_every_kind_of_key_has_its_line() -> None:
    lines = lines_of_keys(DOCUMENT)
    expected: dict[Place, int] = {
        ("top",): 2 + 0,
        ("services",): 4,
        ("services", "api"): 4,
        ("services", "api", "command"): 5,
        ("services", "api", "ports", "green"): 6,
        ("services", "api", "quoted.key"): 7,
        ("services", "api", "env", "HOME", "x"): 8,
        ("services", "api", "text"): 9,
        ("services", "api", "list"): 12,
        ("services", "api", "list", 1): 14,
        ("services", "api", "list", 2, "three"): 15,
        ("services", "api", "list", 3, 1): 17,
        ("routes",): 20,
        ("routes", 0): 20,
        ("routes", 0, "path"): 21,
        ("routes", 1): 22,
        ("routes", 1, "path"): 23,
        ("routes", 1, "when"): 24,
        ("routes", 1, "inner"): 25,
        ("routes", 1, "inner", "deep"): 26,
        ("routes", 1, "more", 0, "a"): 28,
        ("routes", 1, "more", 1, "a"): 30,
    }
    assert {place: lines.get(place) for place in expected} == expected


def test_a_missing_key_is_at_its_nearest_parent() -> None:
    lines = lines_of_keys(DOCUMENT)
    assert line_at(lines, ("routes", 1, "service")) == 22
    assert line_at(lines, ("services", "api", "ports", "blue", "x")) == 6
    assert line_at(lines, ("source", "git")) is None


def test_a_table_that_is_reopened_by_a_longer_header_keeps_its_own_line() -> None:
    lines = lines_of_keys("[a.b]\nx = 1\n\n[a]\ny = 2\n")
    assert (lines[("a",)], lines[("a", "b")], lines[("a", "y")]) == (4, 1, 5)


def test_windows_line_ends_count_once() -> None:
    assert lines_of_keys("a = 1\r\n\r\n[b]\r\nc = 2\r\n")[("b", "c")] == 4


def test_brackets_nested_beyond_the_stack_end_the_search_quietly() -> None:
    text = f"a = 1\nb = {'[' * 5000}{']' * 5000}\n"
    assert lines_of_keys(text)[("a",)] == 1


def test_places_are_written_as_people_write_them() -> None:
    assert dotted(("services", "api", "ports", "green")) == "services.api.ports.green"
    assert dotted(("routes", 1, "service")) == "routes[1].service"
    assert dotted(("json", "a.b")) == "json.'a.b'"


def _places(value: Any, place: Place = ()) -> list[Place]:
    found: list[Place] = [place] if place else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _places(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            found += _places(inner, (*place, index))
    return found


_KEYS = st.sampled_from(["a", "b-c", '"d e"', "'f.g'", '"\\u0041="', "a.x", 'b-c . "y"'])
_SCALARS = st.sampled_from(
    ["1", "-2.5", "true", '"t"', '"#]}="', "'l'", '""', '"""m\n=]"""', "'''n\n'''", "07:32:00"]
)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ",\n # c ]\n".join(items) + "]"),
        st.lists(inner, max_size=3).map(
            lambda items: "{" + ", ".join(f"k{i} = {item}" for i, item in enumerate(items)) + "}"
        ),
    ),
    max_leaves=6,
)
_PAIRS = st.builds(lambda key, value: f"{key} = {value}", _KEYS, _VALUES)
_HEADERS = st.builds(
    lambda key, form: form.format(key), _KEYS, st.sampled_from(["[{}]", "[[{}]]", "[ {} ] # h"])
)


@given(st.lists(st.one_of(_PAIRS, _HEADERS, st.sampled_from(["", "# x = 1"])), max_size=12))
def test_exactly_the_keys_of_any_document_are_found(statements: list[str]) -> None:
    valid: list[str] = []
    for statement in statements:
        try:
            tomllib.loads("\n".join([*valid, statement]))
        except tomllib.TOMLDecodeError:
            continue
        valid.append(statement)
    text = "\n".join(valid)
    lines = lines_of_keys(text)
    assert set(lines) == set(_places(tomllib.loads(text)))
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())
