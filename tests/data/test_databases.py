"""Copies of SQLite databases: of one instant, while others write; and what cannot be copied."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.data import databases
from bluegreen.data.databases import (
    DamagedError,
    NoRoomError,
    check_database,
    copy_database,
    count_rows,
)
from bluegreen.errors import DataError
from tests.data import writer


def no_progress(done: int, total: int) -> None:
    pass


def make(path: Path, *, mode: str = "wal", rows: int = 20_000) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.execute("BEGIN")
        for table in ("one", "two"):
            connection.execute(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY, text TEXT)")
            connection.executemany(f"INSERT INTO {table} (text) VALUES (?)", [("x" * 500,)] * rows)
        connection.execute("COMMIT")


@contextlib.contextmanager
def written_to(path: Path) -> Iterator[None]:
    """Another process writes to ``path`` all the time."""
    process = subprocess.Popen(
        [sys.executable, writer.__file__, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        yield
        assert process.poll() is None, "the writer has failed"
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_copy_is_of_one_instant_while_another_process_writes(tmp_path: Path, mode: str) -> None:
    source, target = tmp_path / "app.db", tmp_path / "copy.db"
    make(source, mode=mode)
    with written_to(source):
        copy_database(source, target, no_progress)
    rows = check_database(target)
    assert rows["one"] == rows["two"] > 20_000
    assert not list(tmp_path.glob("copy.db-*"))


def test_in_wal_mode_writers_do_not_wait_for_a_copy(tmp_path: Path) -> None:
    source = tmp_path / "app.db"
    make(source)
    writing = sqlite3.connect(source, timeout=0, isolation_level=None)
    steps: list[int] = []

    def write(done: int, _: int) -> None:
        writing.execute("INSERT INTO one (text) VALUES ('meanwhile')")
        steps.append(done)

    with closing(writing):
        copy_database(source, tmp_path / "copy.db", write)
    assert steps == sorted(steps), "it has begun anew"
    assert check_database(tmp_path / "copy.db")["one"] == 20_000
    assert count_rows(source)["one"] == 20_000 + len(steps)


def test_in_another_mode_a_copy_that_begins_anew_too_often_keeps_writers_out_at_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "STEP_PAGES", 500)
    source = tmp_path / "app.db"
    make(source, mode="delete")
    writing = sqlite3.connect(source, timeout=0, isolation_level=None)
    refused: list[str] = []

    def write(done: int, _: int) -> None:
        try:
            writing.execute("INSERT INTO one (text) VALUES ('meanwhile')")
        except sqlite3.OperationalError as error:
            refused.append(str(error))

    with closing(writing):
        copy_database(source, tmp_path / "copy.db", write)
    assert set(refused) == {"database is locked"}
    assert check_database(tmp_path / "copy.db") == count_rows(source)


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_that_a_stranger_has_locked_is_waited_for_only_so_long(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT", 0.1)
    source = tmp_path / "app.db"
    make(source, mode=mode, rows=1)
    with closing(sqlite3.connect(source, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA locking_mode = EXCLUSIVE")
        stranger.execute("BEGIN EXCLUSIVE")
        stranger.execute("INSERT INTO one (text) VALUES ('x')")
        with pytest.raises(DataError, match=r"app\.db is locked by another process") as caught:
            copy_database(source, tmp_path / "copy.db", no_progress)
    assert f"fuser {source}" in caught.value.remedy


def test_a_damaged_database_is_found_by_its_copy(tmp_path: Path) -> None:
    source, target = tmp_path / "app.db", tmp_path / "copy.db"
    make(source, mode="delete", rows=500)
    damage = bytearray(source.read_bytes())
    damage[8192 : 8192 + 4096] = b"\xff" * 4096
    source.write_bytes(damage)
    copy_database(source, target, no_progress)
    with pytest.raises(DamagedError, match="is damaged") as caught:
        check_database(target)
    assert caught.value.detail


def test_what_is_no_database_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "app.db").write_text("no database at all, " * 100)
    with pytest.raises(DamagedError):
        copy_database(tmp_path / "app.db", tmp_path / "copy.db", no_progress)


def test_a_copy_that_has_no_room_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path / "app.db", rows=1)

    def full(*_: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with pytest.raises(NoRoomError):
        copy_database(tmp_path / "app.db", tmp_path / "copy.db", full)


def test_rows_are_counted_in_every_table_that_has_some_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE "a ""quoted"" name" (x);
            INSERT INTO "a ""quoted"" name" VALUES (1), (2);
            CREATE TABLE sqliteish (x INTEGER PRIMARY KEY AUTOINCREMENT);
            CREATE VIEW seen AS SELECT 1;
            CREATE VIRTUAL TABLE found USING fts5(text);
            INSERT INTO found VALUES ('x');
            """
        )
    rows = check_database(path)
    assert rows['a "quoted" name'] == 2
    assert rows["sqliteish"] == 0
    assert not {"seen", "found", "sqlite_sequence"} & rows.keys()
