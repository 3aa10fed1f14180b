from __future__ import annotations

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from bluegreen.config.values import Duration, Name, ServerName, Size, parse_duration, parse_size

NAME: TypeAdapter[str] = TypeAdapter(Name)
SERVER_NAME: TypeAdapter[str] = TypeAdapter(ServerName)
DURATION: TypeAdapter[float] = TypeAdapter(Duration)
SIZE: TypeAdapter[int] = TypeAdapter(Size)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("1.5s", 1.5), ("10m", 600), ("24h", 86400), ("7d", 604800), ("0s", 0)],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "value", ["", "10", "s", "-1s", "1 s", "1e3s", "10M", "1m30s", 5, 1.5, True, None, [], math.inf,
              "\u0663s", "9" * 500 + "d", "1s\n"]
)  # fmt: skip
def test_other_durations_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a number and a unit of time"):
        parse_duration(value)


def test_a_duration_of_too_many_digits_is_told_how_many_there_may_be() -> None:
    with pytest.raises(ValueError, match="at most 12 digits"):
        parse_duration("9" * 13 + "d")


@pytest.mark.parametrize(
    ("text", "size"),
    [("1B", 1), ("1KiB", 1024), ("16MiB", 2**24), ("1.5GiB", 1610612736), ("2kB", 2000)],
)
def test_sizes_are_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("value", ["", "1", "1K", "1 MiB", "-1B", "1e9B", 16, 1.5, True, None])
def test_other_sizes_are_refused(value: object) -> None:
    with pytest.raises(ValueError, match="a number and a unit of size"):
        parse_size(value)


@given(st.text())
def test_any_text_is_a_finite_duration_or_refused(text: str) -> None:
    try:
        seconds = DURATION.validate_python(text)
    except ValidationError:
        return
    assert 0 <= seconds < math.inf


@given(st.from_regex(r"\A[0-9]{1,30}(\.[0-9]{0,30})?(ms|s|m|h|d|B|KiB|GB)\Z"))
def test_any_number_with_a_unit_is_finite_or_refused(text: str) -> None:
    for adapter in (DURATION, SIZE):
        try:
            assert 0 <= adapter.validate_python(text) < math.inf
        except ValidationError:
            continue


@given(st.one_of(st.text(), st.text(alphabet="ab9-_.A\n")))
def test_a_name_is_safe_as_a_file_a_label_and_a_variable(text: str) -> None:
    try:
        name = NAME.validate_python(text)
    except ValidationError:
        return
    assert re.fullmatch(r"[a-z][a-z0-9-]*", name)
    assert len(name) <= 40


@given(st.one_of(st.text(), st.text(alphabet="a*.-_;{} \n$~")))
def test_a_server_name_cannot_end_a_directive_of_nginx(text: str) -> None:
    try:
        name = SERVER_NAME.validate_python(text)
    except ValidationError:
        return
    assert not set(name) & set(" \t\r\n;{}$\"'\\#~")
