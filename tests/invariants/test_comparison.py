"""What counts as unchanged."""

from __future__ import annotations

import hashlib

import pytest

from bluegreen.config.invariants import Invariant
from bluegreen.invariants.answering import Answer, Question, answer, parse
from bluegreen.invariants.comparison import Measured, difference, problem


def said(text: str) -> Answer:
    return Answer(shown=text, digest=hashlib.sha256(text.encode()).hexdigest())


def invariant(*, grows: bool) -> Invariant:
    return Invariant(name="n", command="x", allow="more" if grows else None)


@pytest.mark.parametrize(
    ("before", "after", "kept", "kept_if_it_may_grow"),
    [
        ("3", "3", True, True),
        ("3", "4", False, True),
        ("3", "2", False, False),
        ("9", "10", False, True),
        ("1.5", "1.25", False, False),
        ("-2", "-1", False, True),
        ("", "1", False, False),
        ("a", "b", False, False),
        ("99999999999999999999", "100000000000000000000", False, True),
    ],
)
def test_equal_or_where_allowed_more(
    before: str, after: str, kept: bool, kept_if_it_may_grow: bool
) -> None:
    for grows, expected in ((False, kept), (True, kept_if_it_may_grow)):
        measured = Measured(invariant=invariant(grows=grows), answer=said(before))
        assert (difference(measured, said(after)) is None) is expected


def test_what_may_grow_has_to_be_one_number() -> None:
    assert problem(invariant(grows=True), said("1")) is None
    assert problem(invariant(grows=True), said("1 2")) is not None
    assert problem(invariant(grows=False), said("1 2")) is None
    assert problem(invariant(grows=False), Answer(shown="", digest="", problem="no")) == "no"


def test_a_difference_names_both_and_a_failure() -> None:
    measured = Measured(invariant=invariant(grows=False), answer=said("1"))
    assert difference(measured, said("")) == "n: 1 before, nothing now"
    failed = Answer(shown="", digest="", problem="exit status 3")
    assert difference(measured, failed) == "n: 1 before, and now exit status 3"


def test_an_answer_is_read_back_from_its_line_and_nothing_else_is() -> None:
    found = answer(Question(timeout=60, argv=("/bin/sh", "-c", "printf 'a\\n\\033[1mb\\n'")))
    assert found.shown == "a b"
    assert parse(found.line()) == found
    for line in ("", "{}", '{"answer": 3}', '{"answer": {"shown": 1, "digest": ""}}', "[]"):
        assert parse(line) is None


def test_a_program_that_is_not_there_or_dies_is_a_problem() -> None:
    missing = answer(Question(timeout=60, argv=("no-such-program",)))
    assert missing.problem == "no-such-program: No such file or directory"
    killed = answer(Question(timeout=60, argv=("/bin/sh", "-c", "kill -9 $$")))
    assert killed.problem == "killed by SIGKILL"


def test_a_database_outside_the_shared_directory_is_not_asked(tmp_path: object) -> None:
    question = Question(timeout=60, shared=f"{tmp_path}/a", sqlite="../b.db", query="SELECT 1")
    found = answer(question)
    assert found.problem is not None
    assert "leads out of the shared directory" in found.problem
