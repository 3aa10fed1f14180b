from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.config.placeholders import expand_argv
from bluegreen.survey.command_line import command_text, from_shell, from_words


@pytest.mark.parametrize(
    ("text", "command", "port"),
    [
        ("gunicorn a:b --bind 0.0.0.0:$PORT", "gunicorn a:b --bind 0.0.0.0:{port}", None),
        ("gunicorn a:b -b :${PORT:-5000}", "gunicorn a:b -b :{port}", 5000),
        ("uvicorn a:b --port 8001", "uvicorn a:b --port {port}", 8001),
        ("uvicorn a:b --port=8001", "uvicorn a:b --port={port}", 8001),
        ("next start -p3000", "next start -p{port}", 3000),
        ("python manage.py runserver 127.0.0.1:8002", "python manage.py runserver 127.0.0.1:{port}",
         8002),
        ("python app.py --db localhost:5432", "python app.py --db localhost:5432", None),
        ("celery -b redis://localhost:6379/0", "celery -b redis://localhost:6379/0", None),
        ("gunicorn a:b --bind unix:/run/a.sock", "gunicorn a:b --bind unix:{socket}", None),
        ("app --json {}", "app --json {{}}", None),
        ("app --name 'two words'", "app --name 'two words'", None),
    ],
)  # fmt: skip
def test_the_port_or_socket_of_a_command_becomes_a_placeholder(
    text: str, command: str, port: int | None
) -> None:
    line = from_shell(text)
    assert command_text(line.words) == command
    assert line.port == port


def test_assignments_before_a_command_become_its_environment() -> None:
    line = from_shell("NODE_ENV=production A='{x}' node server.js")
    assert (line.words, line.env) == (
        ("node", "server.js"),
        {"NODE_ENV": "production", "A": "{{x}}"},
    )


@pytest.mark.parametrize("text", ["a | b", "cd x && y", "x --to $HOME", "x > log", "x `y`"])
def test_what_only_a_shell_understands_is_left_to_one(text: str) -> None:
    line = from_shell(text)
    assert line.words[:2] == ("sh", "-c")
    assert line.words[2].removeprefix("exec ") == text


def test_a_privileged_port_is_left_alone() -> None:
    assert from_words(["x", "--port", "0080"]).words == ("x", "--port", "0080")


@given(
    st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1)
)
def test_words_survive_the_way_through_an_app_file(words: list[str]) -> None:
    line = from_words(words)
    if line.port is None and not line.socket:
        assert expand_argv(command_text(line.words), {}) == words
    else:
        assert len(shlex.split(command_text(line.words))) == len(words)
