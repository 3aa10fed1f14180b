"""The copy of the store from before an upgrade, on databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.installation.store_copy import make_copy, remove_copy, restore

OLD, NEW = 5, 6  # schemas


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return write(tmp_path / "bluegreen.db", OLD, "before")


def write(path: Path, schema: int, content: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE IF NOT EXISTS content (what TEXT)")
        connection.execute("DELETE FROM content")
        connection.execute("INSERT INTO content VALUES (?)", (content,))
        connection.execute(f"PRAGMA user_version = {schema}")
        connection.commit()
    return path


def read(path: Path) -> tuple[int, str]:
    with closing(sqlite3.connect(path)) as connection:
        (schema,) = connection.execute("PRAGMA user_version").fetchone()
        (content,) = connection.execute("SELECT what FROM content").fetchone()
    return schema, content


def test_a_migrated_store_is_put_back(store: Path) -> None:
    make_copy(store)
    write(store, NEW, "migrated")
    restore(store)
    assert read(store) == (OLD, "before")


def test_a_store_of_the_same_schema_stays_with_what_was_recorded_since(store: Path) -> None:
    make_copy(store)
    write(store, OLD, "since")
    restore(store)
    assert read(store) == (OLD, "since")


def test_a_store_that_is_gone_is_put_back(store: Path) -> None:
    make_copy(store)
    store.unlink()
    restore(store)
    assert read(store) == (OLD, "before")


def test_a_store_that_is_no_database_any_more_is_put_back(store: Path) -> None:
    make_copy(store)
    store.write_bytes(b"x" * 8192)
    restore(store)
    assert read(store) == (OLD, "before")


def test_a_store_that_cannot_be_opened_keeps_its_copy(store: Path) -> None:
    make_copy(store)
    store.unlink()
    store.mkdir()
    with pytest.raises(sqlite3.OperationalError, match="unable to open"):
        restore(store)
    store.rmdir()
    restore(store)
    assert read(store) == (OLD, "before")


def test_a_second_run_keeps_the_copy_from_before_the_migration(store: Path) -> None:
    """The first one was killed once the newer daemon had migrated."""
    make_copy(store)
    write(store, NEW, "migrated")
    make_copy(store)
    restore(store)
    assert read(store) == (OLD, "before")


def test_a_second_run_copies_anew_what_was_not_migrated(store: Path) -> None:
    make_copy(store)
    write(store, OLD, "since")
    make_copy(store)
    write(store, NEW, "migrated")
    restore(store)
    assert read(store) == (OLD, "since")


def test_what_a_killed_run_has_begun_to_copy_is_no_copy(store: Path) -> None:
    half = store.with_name(f"{store.name}.before-upgrade.new")
    half.write_bytes(store.read_bytes()[:1000])
    half.with_name(f"{half.name}-journal").write_bytes(b"\xd9\xd5\x05\xf9 a journal")
    restore(store)
    make_copy(store)
    write(store, NEW, "migrated")
    restore(store)
    assert read(store) == (OLD, "before")
    assert [path.name for path in store.parent.iterdir() if "upgrade" in path.name] == []


def test_without_a_store_there_is_nothing_to_copy_or_to_put_back(tmp_path: Path) -> None:
    make_copy(tmp_path / "bluegreen.db")
    restore(tmp_path / "bluegreen.db")
    remove_copy(tmp_path / "bluegreen.db")
    assert list(tmp_path.iterdir()) == []
