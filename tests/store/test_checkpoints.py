"""The WAL is emptied when nobody writes, or beside the commits, so that it does not grow."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.store import Store, database
from tests.waiting import eventually

ROUNDS = 20


@contextlib.asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = await Store.open(path)
    try:
        yield store
    finally:
        await store.close()


async def write(store: Store, count: int) -> None:
    for number in range(count):
        await store.add_event(
            app="shop", operation=None, kind="output", data={"line": f"{number:4000}"}
        )


async def test_the_wal_is_emptied_once_it_is_quiet_and_not_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_AFTER", 10)
    monkeypatch.setattr(database, "QUIET", 0.0)
    path = tmp_path / "store.db"
    async with opened(path) as store:
        empty = path.stat().st_size
        await write(store, 9)
        assert path.stat().st_size == empty
        await write(store, 1)
        await eventually(lambda: path.stat().st_size > empty + 10 * 4000 / 2, "it is in the file")


async def test_the_wal_does_not_grow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_AT", 10)
    monkeypatch.setattr(database, "WAL_ROOM", 0)
    path = tmp_path / "store.db"
    wal = tmp_path / "store.db-wal"
    async with opened(path) as store:
        await write(store, 30)
        early = wal.stat().st_size
        for _ in range(ROUNDS):
            await write(store, 30)
            # A busy host lets writers pass before who empties it; what is begun comes to its end.
            await eventually(lambda: store._database._checkpoint is None, "it has been emptied")
        assert wal.stat().st_size < early * ROUNDS / 4
        assert path.stat().st_size > 30 * ROUNDS * 4000 / 2, "it went into the file meanwhile"


async def test_a_commit_finds_room_in_the_wal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ROOM_AFTER", 0.0)
    path = tmp_path / "store.db"
    wal = tmp_path / "store.db-wal"
    async with opened(path) as store:
        await write(store, ROUNDS)
        await eventually(lambda: wal.stat().st_size == database.WAL_ROOM, "there is room")
        await write(store, ROUNDS)
        assert wal.stat().st_size == database.WAL_ROOM
    assert not wal.exists()


async def test_the_room_in_the_wal_of_a_killed_daemon_is_not_taken_for_transactions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "ROOM_AFTER", 0.0)
    path, left = tmp_path / "store.db", tmp_path / "left.db"
    async with opened(path) as store:
        wal = path.with_name("store.db-wal")
        await eventually(lambda: wal.stat().st_size == database.WAL_ROOM, "there is room")
        for written in (0, ROUNDS):
            await write(store, written)
            for end in ("", "-wal"):
                shutil.copy(f"{path}{end}", f"{left}{end}")
            async with opened(left) as found:
                assert await found.events() == await store.events()
                assert len(await found.events()) == written
                await write(found, 1)
                assert len(await found.events()) == written + 1


async def test_a_failed_checkpoint_is_said_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database, "CHECKPOINT_AT", 10)
    monkeypatch.setattr(database, "CHECKPOINT", "SELECT no_such_thing")
    path = tmp_path / "store.db"
    async with opened(path) as store:
        await write(store, 30)
    assert "the WAL of" in caplog.text
    assert caplog.text.count("was not emptied") > 1
