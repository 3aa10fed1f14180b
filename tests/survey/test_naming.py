from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from bluegreen.config.values import Name
from bluegreen.survey.naming import another, name_from

NAME: TypeAdapter[str] = TypeAdapter(Name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("shop", "shop"),
        ("My Shop!", "my-shop"),
        ("Café_Böhm", "cafe-bohm"),
        ("2048", "app-2048"),
        ("---", "app"),
        ("", "app"),
        ("店", "app"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_directory_gives_the_app_its_name(text: str, name: str) -> None:
    assert name_from(text) == name


@given(st.text())
def test_every_text_becomes_a_valid_name(text: str) -> None:
    assert NAME.validate_python(name_from(text)) == name_from(text)


@given(st.text(max_size=60))
def test_a_name_stays_as_it_is(text: str) -> None:
    assert name_from(name_from(text)) == name_from(text)


@given(st.lists(st.text(max_size=3), max_size=15))
def test_another_name_is_valid_and_free(texts: list[str]) -> None:
    taken: list[str] = []
    for text in texts:
        taken.append(NAME.validate_python(another(name_from(text * 20), taken)))
    assert len(set(taken)) == len(taken)
