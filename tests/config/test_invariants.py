"""``[[gate.unchanged]]`` in an app file: what is taken, and what is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.config.invariants import measuring_time
from bluegreen.config.load import load_app
from tests.config.samples import SHOP, problems_of, write

USERS = """
[[gate.unchanged]]
sqlite = "data/shop.db"
query = "SELECT  COUNT(*) FROM users"
"""
ORDERS = """
[[gate.unchanged]]
name = "orders"
postgres = "postgresql:///shop"
query = "SELECT '{}'"
allow = "more"
"""
FILES = """
[[gate.unchanged]]
command = "ls {shared_dir}/uploads"
timeout = "1m"
"""


def test_invariants_are_taken_in_their_order(tmp_path: Path) -> None:
    gate = load_app(write(tmp_path, SHOP + USERS + ORDERS + FILES)).gate
    assert [one.label for one in gate.unchanged] == [
        "SELECT COUNT(*) FROM users of data/shop.db", "orders", "command",
    ]  # fmt: skip
    assert [one.allow for one in gate.unchanged] == [None, "more", None]
    assert measuring_time(gate.unchanged) > 80


@pytest.mark.parametrize(
    ("text", "key", "wrong"),
    [
        (USERS.replace("sqlite", "mysql"), "gate.unchanged[0].mysql", "no key"),
        (USERS + 'command = "ls"\n', "gate.unchanged[0]", "exactly one of"),
        (USERS.replace("query", "# query"), "gate.unchanged[0]", "it has no query"),
        (FILES + 'query = "SELECT 1"\n', "gate.unchanged[0]", "a command has no query"),
        (USERS.replace("data/", "/data/"), "gate.unchanged[0].sqlite", "cannot be used here"),
        (ORDERS.replace('"more"', '"less"'), "gate.unchanged[0].allow", "cannot be used here"),
        (
            ORDERS.replace(":///", "://me:secret@host/"),
            "gate.unchanged[0].postgres",
            "there is a password in it",
        ),
        (FILES.replace("shared_dir", "port"), "gate.unchanged[0].command", "no placeholder {port}"),
        (ORDERS + ORDERS, "gate.unchanged[1].name", "the same as gate.unchanged[0].name"),
    ],
)
def test_refusals(tmp_path: Path, text: str, key: str, wrong: str) -> None:
    problem, *_ = problems_of(tmp_path, SHOP + text)
    assert problem.key == key
    assert wrong in problem.wrong
    assert problem.line is not None
    assert problem.line > SHOP.count("\n")
