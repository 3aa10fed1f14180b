"""Nothing that was recorded is ever changed or removed, not even by raw SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests.store.rows import add_operation, add_phase, add_state, bare_schema

TABLES = ["operations", "resolutions", "operation_states", "phases", "events"]


@pytest.fixture
def history() -> Iterator[sqlite3.Connection]:
    with bare_schema() as database:
        operation = add_operation(database)
        add_state(database, operation, None, "queued")
        add_state(database, operation, "queued", "running")
        add_phase(database, operation, None, "intent")
        database.execute(
            "INSERT INTO resolutions (operation, version, origin, at) VALUES (?, 'v2', 'x', 1.0)",
            (operation,),
        )
        yield database


@pytest.mark.parametrize("table", TABLES)
def test_a_row_is_not_rewritten(history: sqlite3.Connection, table: str) -> None:
    column = "created_at" if table == "operations" else "at"
    with pytest.raises(sqlite3.IntegrityError, match="never rewritten"):
        history.execute(f"UPDATE {table} SET {column} = 2.0")


@pytest.mark.parametrize("table", TABLES)
def test_a_row_is_not_deleted(history: sqlite3.Connection, table: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        history.execute(f"DELETE FROM {table}")


@pytest.mark.parametrize("table", TABLES)
def test_a_row_is_not_replaced_under_the_pragmas_of_the_store(
    history: sqlite3.Connection, table: str
) -> None:
    history.execute("PRAGMA recursive_triggers = ON")
    # What follows the state of another row is refused for that before.
    for trigger in ("operation_states_follow", "phases_follow"):
        history.execute(f"DROP TRIGGER {trigger}")
    with pytest.raises(sqlite3.IntegrityError, match="never deleted"):
        history.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")


def test_a_lane_has_one_running_operation(history: sqlite3.Connection) -> None:
    second = add_operation(history)
    add_state(history, second, None, "queued")
    with pytest.raises(sqlite3.IntegrityError, match=r"running\.app, running\.lane"):
        add_state(history, second, "queued", "running")


def test_an_outcome_frees_the_lane(history: sqlite3.Connection) -> None:
    add_state(history, 1, "running", "failed")
    assert history.execute("SELECT * FROM running").fetchall() == []


def test_a_state_belongs_to_an_operation(history: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        add_state(history, 99, None, "queued")


@pytest.mark.parametrize(
    ("columns", "values", "constraint"),
    [
        ("state, version", "'empty', 'v1'", "empty_has_no_release"),
        ("state, tree", "'empty', '/t'", "empty_has_no_release"),
        ("state", "'cold'", "empty_has_no_release"),
        ("state", "'starting'", "empty_has_no_release"),
        ("state, version", "'hot', 'v1'", "hot_has_passed_its_gate"),
        ("state, version", "'warm', 'v1'", "state IN"),
    ],
)
def test_a_slot_that_contradicts_itself_is_refused(
    history: sqlite3.Connection, columns: str, values: str, constraint: str
) -> None:
    with pytest.raises(sqlite3.IntegrityError, match=constraint):
        history.execute(f"INSERT INTO slots (app, slot, {columns}) VALUES ('a', 'blue', {values})")
