"""A full disk, a read-only one, a damaged file: the reason, the remedy, and what still works."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import sqlite3
import sys
from pathlib import Path

import pytest

from bluegreen.errors import StoreError, StoreFullError
from bluegreen.model import OperationState
from bluegreen.store import Store, StoreCorruptError, set_aside
from bluegreen.store.database import Database
from bluegreen.store.failures import from_os, from_sqlite
from tests.store.damage import damage, make_large
from tests.store.rows import assert_nothing_is_half, deploy, opened, switch


async def test_a_full_disk_refuses_changes_and_still_answers(path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.store.cramped", str(path), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    seen = json.loads(output)
    assert len(seen["errors"]) == 2
    for message, space, remedy in seen["errors"]:
        assert message.startswith(f"the store {path} cannot record: ")
        assert f"MiB free on the file system of {path.parent}" in space
        assert "free some space" in remedy
        assert "`bluegreen status` and `bluegreen switch back` still work" in remedy
    assert seen["readable"] == seen["recorded"]
    assert seen["told_what_is_recorded"]
    assert seen["slots"]
    assert seen["finished"] == OperationState.SUCCEEDED
    with opened(path) as connection:
        assert_nothing_is_half(connection)


async def test_a_transaction_that_finds_no_page_is_rolled_back_whole(path: Path) -> None:
    database = await Database.open(path)
    store = Store(database, None, 1)
    await deploy(store)
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1").fetchall())
    big = {"text": "x" * 100_000}
    with pytest.raises(StoreFullError, match="database or disk is full") as refusal:
        await switch(store, data=big)
    assert refusal.value.http_status == 507
    assert [operation.id for operation in await store.unfinished()] == [1]
    await database.write(lambda c: c.execute("PRAGMA max_page_count = 1000000").fetchall())
    assert (await switch(store, data=big)).id == 2
    await store.close()
    with opened(path) as connection:
        assert_nothing_is_half(connection)


async def test_a_read_only_database_is_named(store: Store, path: Path) -> None:
    await deploy(store)
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
        with pytest.raises(sqlite3.OperationalError) as refusal:
            reader.execute("DELETE FROM slots")
        error = from_sqlite(refusal.value, path)
    reader.close()
    assert isinstance(error, StoreFullError)
    assert "readonly" in error.message
    assert "writable" in error.remedy


def test_a_read_only_file_system_is_told_from_a_missing_directory(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(sqlite3.OperationalError) as refusal:
        sqlite3.connect(path)
    assert type(from_sqlite(refusal.value, path)) is StoreError
    path.parent.mkdir()
    figures = list(os.statvfs(path.parent))
    figures[8] |= os.ST_RDONLY
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(figures))
    error = from_sqlite(refusal.value, path, opening=True)
    assert isinstance(error, StoreFullError)
    assert error.detail[0].endswith("mounted read-only")
    assert "start the daemon again" in error.remedy


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EDQUOT, errno.EACCES])
def test_a_file_system_that_takes_no_file_is_named(path: Path, number: int) -> None:
    error = from_os(OSError(number, os.strerror(number)), path)
    assert isinstance(error, StoreFullError)
    assert os.strerror(number) in error.message


async def test_a_path_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be opened") as refusal:
        await Store.open(tmp_path / "file" / "bluegreen.db")
    assert str(tmp_path / "file") in refusal.value.remedy


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)


def _halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _damage_pages(path: Path) -> None:
    """Overwrite the header of every page but the first two."""
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    path.write_bytes(data)


async def _filled(path: Path) -> None:
    store = await Store.open(path)
    for number in range(50):
        await deploy(store, f"app{number}")
    await store.close()


async def test_a_file_that_is_no_database_is_reported_and_set_aside(path: Path) -> None:
    _write(path, b"not a database, by any measure\n" * 100)
    with pytest.raises(StoreCorruptError, match="is damaged") as refusal:
        await Store.open(path)
    assert "SQLITE_NOTADB" in refusal.value.detail[0]
    aside = set_aside(path)
    assert aside.name.startswith("bluegreen.db.corrupt-")
    assert aside.read_bytes().startswith(b"not a database")
    store = await Store.open(path)
    assert await store.operations(None) == []
    await store.close()


async def test_damage_inside_is_found_as_the_database_is_opened(path: Path) -> None:
    await _filled(path)
    _damage_pages(path)
    with pytest.raises(StoreCorruptError) as refusal:
        await Store.open(path)
    assert refusal.value.detail
    assert "sets the file aside" in refusal.value.remedy


@pytest.mark.parametrize(
    "table",
    ["slots", "operations", "operation_states", "operation_states_by_operation",
     "phases_by_operation", "resolutions", "events"],
)  # fmt: skip
async def test_of_a_large_database_what_a_start_reads_is_found_damaged(
    path: Path, table: str
) -> None:
    await _filled(path)
    make_large(path)
    await (await Store.open(path)).close()
    damage(path, table)
    with pytest.raises(StoreCorruptError, match="is damaged"):
        await Store.open(path)
    set_aside(path)
    await (await Store.open(path)).close()


async def test_a_row_that_cannot_have_been_written_is_damage(path: Path) -> None:
    await _filled(path)
    make_large(path)
    with opened(path) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(
            "INSERT INTO slots (app, slot, state, version) VALUES ('shop', 'blue', 'warm', 'v1')"
        )
    with pytest.raises(StoreCorruptError, match="is damaged") as refusal:
        await Store.open(path)
    assert "'warm'" in refusal.value.detail[0]


async def test_a_truncated_database_is_found_as_it_is_opened(path: Path) -> None:
    await _filled(path)
    _halve(path)
    with pytest.raises(StoreCorruptError):
        await Store.open(path)


def test_setting_aside_takes_the_wal_along_and_keeps_what_was_there(path: Path) -> None:
    path.parent.mkdir()
    places = []
    for number in range(3):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).write_text(f"{suffix} {number}")
        places.append(set_aside(path))
        assert [left.name for left in path.parent.iterdir() if "corrupt" not in left.name] == []
    assert len(set(places)) == 3
    for number, place in enumerate(places):
        for suffix in ("", "-wal", "-shm"):
            assert place.with_name(place.name + suffix).read_text() == f"{suffix} {number}"


async def test_an_empty_file_becomes_a_database(path: Path) -> None:
    _write(path, b"")
    store = await Store.open(path)
    assert (await deploy(store)).id == 1
    await store.close()
