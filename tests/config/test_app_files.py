"""Files that are no app file at all, or are where none can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.config.load import InvalidConfiguration, load_app
from tests.config.samples import SHOP, problems_of, write


@pytest.mark.parametrize(
    ("text", "line", "wrong"),
    [
        ("[app]\nname = shop\n", 2, "Invalid value"),
        ("[app]\nname = 'a'\nname = 'b'\n", 3, "Cannot overwrite a value"),
        ("[app]\n[app]\n", 2, "twice"),
        ("[app]\nname = [1,\n\n", 2, "this is not TOML"),
        ("[app]\nname = '''\rx", 2, "this is not TOML"),
        (f"[app]\na = {'1' * 5000}", 2, "too many digits"),
        (f"a = {'[' * 5000}{']' * 5000}", None, "nested too deeply"),
        ("[app]\nname = '\xff'", 2, "not UTF-8"),
        ("x = 1\n" * 200_000, None, "larger than"),
    ],
)
def test_what_is_not_toml_is_refused_with_its_line(
    tmp_path: Path, text: str, line: int | None, wrong: str
) -> None:
    file = tmp_path / "shop.toml"
    file.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidConfiguration) as caught:
        load_app(file)
    (problem,) = caught.value.problems
    assert problem.line == line
    assert wrong in problem.wrong
    assert str(problem).startswith(f"{file}:{line}: " if line else f"{file}: ")


def test_an_app_without_services_is_told_to_name_one(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, """
        app.name = "shop"
        source.directory = "/srv/{version}"
        nginx.mode = "upstream"
        services = {}
    """)  # fmt: skip
    assert (problem.key, problem.wrong, problem.right) == (
        "services", "it is empty", "Name at least one",
    )  # fmt: skip


def test_a_byte_order_mark_is_no_matter(tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(SHOP, encoding="utf-8-sig")
    assert load_app(file).name == "shop"


def test_a_file_that_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "shop.toml"
    os.mkfifo(pipe)
    for file, wrong in ((tmp_path / "none.toml", "No such file"), (pipe, "not an ordinary file")):
        with pytest.raises(InvalidConfiguration) as caught:
            load_app(file)
        assert wrong in caught.value.problems[0].wrong


def test_a_file_is_named_after_its_app(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        load_app(write(tmp_path, SHOP, "store"))
    (problem,) = caught.value.problems
    assert (problem.key, problem.line) == ("app.name", 2)
    assert '"shop" and its file "store.toml"' in problem.wrong
