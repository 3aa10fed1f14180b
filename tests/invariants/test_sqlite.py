"""SQLite databases are asked while others write, and nothing is left beside them."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.invariants.sqlite import UnreadableError, ask

USERS = "SELECT COUNT(*) FROM users"


def connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=30)


@pytest.fixture(params=["delete", "wal"])
def database(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    path = tmp_path / "app.db"
    with closing(connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, seal BLOB)")
        connection.execute("INSERT INTO users (name, seal) VALUES ('a', x'00ff'), (NULL, NULL)")
    return path


@pytest.fixture
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(database)) as connection:
        connection.execute("INSERT INTO users (name) VALUES ('c')")
        yield connection


def test_one_that_nobody_has_open_is_read_and_nothing_is_left(database: Path) -> None:
    assert list(ask(database, USERS, timeout=5)) == ["2"]
    assert os.listdir(database.parent) == ["app.db"]


def test_one_that_is_open_is_read_as_it_is_by_now(
    database: Path, opened: sqlite3.Connection
) -> None:
    beside = sorted(os.listdir(database.parent))
    assert list(ask(database, USERS, timeout=5)) == ["3"]
    assert sorted(os.listdir(database.parent)) == beside


def test_rows_are_lines_and_an_empty_answer_is_none(database: Path) -> None:
    rows = list(ask(database, "SELECT id, name, seal FROM users ORDER BY id", timeout=5))
    assert rows == ["1|a|00ff", "2||"]
    assert list(ask(database, "SELECT 1 FROM users WHERE id > 99", timeout=5)) == []
    assert list(ask(database, "PRAGMA integrity_check", timeout=5)) == ["ok"]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM users",
        "ATTACH '{dir}/new.db' AS other",
        "VACUUM INTO '{dir}/new.db'",
        "PRAGMA journal_mode = delete",
        "SELECT 1; SELECT 2",
    ],
)
def test_nothing_but_a_query_is_answered(database: Path, query: str) -> None:
    with pytest.raises(UnreadableError):
        ask(database, query.replace("{dir}", str(database.parent)), timeout=5)
    assert os.listdir(database.parent) == ["app.db"]
    assert list(ask(database, USERS, timeout=5)) == ["2"]


def test_a_query_that_does_not_end_is_ended(database: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    with pytest.raises(UnreadableError, match=r"no answer within 0\.2 s"):
        ask(database, endless, timeout=0.2)


def test_one_that_is_locked_is_waited_for_no_longer_than_it_may_take(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE users (id)")
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(UnreadableError, match=r"no answer within 0\.2 s \(database is locked"):
            ask(path, USERS, timeout=0.2)
        connection.execute("COMMIT")
    assert list(ask(path, USERS, timeout=5)) == ["0"]


def test_what_is_no_database_or_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"app\.db: No such file or directory"):
        ask(tmp_path / "app.db", USERS, timeout=5)
    (tmp_path / "app.db").write_text("no database at all, but long enough to look like one" * 20)
    with pytest.raises(UnreadableError, match="file is not a database"):
        ask(tmp_path / "app.db", USERS, timeout=5)
    assert os.listdir(tmp_path) == ["app.db"]


def left_by_a_crash(tmp_path: Path) -> Path:
    """A database with its -wal and without its -shm."""
    path = tmp_path / "app.db"
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE users (id)")
        (tmp_path / "left").mkdir()
        left = tmp_path / "left/app.db"
        for suffix in ("", "-wal"):
            copy = left.with_name(left.name + suffix)
            copy.write_bytes(path.with_name(path.name + suffix).read_bytes())
    return left


def test_one_that_is_just_being_opened_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever opens it has its -wal a moment before its -shm, as a crash leaves them."""
    left = left_by_a_crash(tmp_path)
    with closing(connect(left)) as opening:
        monkeypatch.setattr(time, "sleep", lambda _: opening.execute(USERS).fetchall())
        assert list(ask(left, USERS, timeout=20)) == ["0"]


def test_a_wal_that_a_crash_has_left_is_not_read_over(tmp_path: Path) -> None:
    left = left_by_a_crash(tmp_path)
    with pytest.raises(UnreadableError, match=r"a crash has left app\.db-wal"):
        ask(left, USERS, timeout=0.2)
    assert sorted(os.listdir(left.parent)) == ["app.db", "app.db-wal"]


def test_writers_that_open_and_close_it_disturb_no_answer(tmp_path: Path) -> None:
    """The last one to close a WAL database moves all of it into the file, under the reader."""
    path = tmp_path / "app.db"
    with closing(connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE users (id INTEGER PRIMARY KEY, filling BLOB)")
    over = threading.Event()

    def write() -> None:
        while not over.is_set():
            with closing(connect(path)) as writing:
                writing.execute("BEGIN IMMEDIATE")
                writing.executemany("INSERT INTO users (filling) VALUES (?)", [(b"x" * 2000,)] * 10)
                writing.execute("COMMIT")

    writer = threading.Thread(target=write, name="writer")
    writer.start()
    try:
        counts = [int(*ask(path, "SELECT COUNT(*) FROM users", timeout=20)) for _ in range(60)]
    finally:
        over.set()
        writer.join()
    assert all(count % 10 == 0 for count in counts), counts
    assert counts == sorted(counts)
