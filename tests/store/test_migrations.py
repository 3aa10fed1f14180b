"""The schema is the same whichever way a database came to it."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from bluegreen.errors import StoreError
from bluegreen.store import Store
from bluegreen.store.migrations import migrations
from tests.store.rows import opened


def _schema(path: Path) -> list[tuple[str, str, str]]:
    with opened(path) as connection:
        return connection.execute(
            "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"
        ).fetchall()


def _content(path: Path) -> bytes:
    return path.read_bytes()


def test_the_steps_are_numbered_without_a_gap() -> None:
    assert [step.version for step in migrations()] == list(range(1, len(migrations()) + 1))


@pytest.mark.parametrize("version", [step.version for step in migrations()])
async def test_a_database_of_every_version_becomes_what_a_fresh_one_is(
    tmp_path: Path, version: int
) -> None:
    fresh, old = tmp_path / "fresh.db", tmp_path / "old.db"
    with opened(old) as connection:
        for step in migrations()[:version]:
            connection.executescript(step.script())
    for path in (fresh, old):
        await _open_and_close(path)
    assert _schema(fresh) == _schema(old)
    with opened(fresh) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations()),)


async def test_a_database_of_a_newer_bluegreen_is_refused_untouched(path: Path) -> None:
    await _open_and_close(path)
    with opened(path) as connection:
        connection.execute("PRAGMA user_version = 1000")
    before = _content(path)
    with pytest.raises(StoreError, match="newer bluegreen") as refusal:
        await Store.open(path)
    assert "install that version" in refusal.value.remedy
    assert _content(path) == before


def test_a_step_that_fails_leaves_the_version_before(tmp_path: Path) -> None:
    with opened(tmp_path / "half.db") as connection:
        connection.execute("CREATE TABLE phases (id)")
        with pytest.raises(sqlite3.OperationalError, match="already exists"):
            connection.executescript(migrations()[0].script())
        connection.execute("ROLLBACK")
        assert connection.execute("PRAGMA user_version").fetchone() == (0,)
        tables = connection.execute("SELECT name FROM sqlite_schema").fetchall()
        assert tables == [("phases",)]


async def test_the_database_has_a_write_ahead_log(store: Store, path: Path) -> None:
    await store.integrity()
    with opened(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_new_database_is_for_its_owner_only(path: Path) -> None:
    asyncio.run(_open_and_close(path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def _open_and_close(path: Path) -> None:
    await (await Store.open(path)).close()
