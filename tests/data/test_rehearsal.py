"""The copy that migrations are rehearsed on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.data import databases, rehearsal
from bluegreen.data.rehearsal import LARGEST_FILE, LARGEST_REST, Rehearsal, begin, bytes_of, end
from bluegreen.data.schema import differences, schema_of
from bluegreen.errors import DataError


def execute(database: Path, script: str) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(script)


@pytest.fixture
def what(tmp_path: Path) -> Rehearsal:
    shared, tree = tmp_path / "shared", tmp_path / "tree"
    for directory in (shared / "data", shared / "uploads/deep", tree / "backend"):
        directory.mkdir(parents=True)
    execute(
        shared / "data/app.db",
        "PRAGMA journal_mode = WAL; CREATE TABLE users (name); INSERT INTO users VALUES ('ann')",
    )
    (shared / "uploads/deep/large").write_bytes(bytes(LARGEST_FILE + 1))
    (shared / "uploads/link").symlink_to(shared / "data/app.db")
    (shared / "settings").write_text("x = 1")
    (shared / "data/large").write_bytes(bytes(LARGEST_FILE + 1))
    for link in ("data", "uploads", "backend/settings"):
        (tree / link).symlink_to(shared / link)
    return Rehearsal(
        tree=str(tree), shared=str(shared), place=str(tree / ".rehearsal"),
        copy=str(tree / ".rehearsal/data"),
        links=["data", "uploads"], sqlite=["data/app.db"], files=["uploads"],
    )  # fmt: skip


def test_what_is_done_on_the_copy_does_not_reach_the_data(what: Rehearsal) -> None:
    tree, shared = Path(what.tree), Path(what.shared)
    before = schema_of(shared, what.sqlite)
    assert begin(what, lambda _: None) == 1  # data/large, which is not backed up
    execute(tree / "data/app.db", "CREATE TABLE logs (line); DELETE FROM users")
    (tree / "uploads/deep/large").write_text("changed")
    assert (tree / "uploads/link").readlink() == Path(what.copy) / "data/app.db"
    assert (Path(what.copy) / "settings").read_text() == "x = 1"
    changed = differences(before, schema_of(Path(what.copy), what.sqlite))
    assert changed == ["data/app.db: table logs added"]
    end(what)
    assert not Path(what.place).exists()
    assert (tree / "data").readlink() == shared / "data"
    assert schema_of(shared, what.sqlite) == before
    assert (shared / "uploads/deep/large").stat().st_size == LARGEST_FILE + 1
    with closing(sqlite3.connect(shared / "data/app.db")) as connection:
        assert connection.execute("SELECT name FROM users").fetchall() == [("ann",)]


def test_begun_again_it_starts_from_the_data_as_they_are(what: Rehearsal) -> None:
    begin(what, lambda _: None)
    execute(Path(what.tree) / "data/app.db", "DROP TABLE users")
    begin(what, lambda _: None)
    assert schema_of(Path(what.copy), what.sqlite) == schema_of(Path(what.shared), what.sqlite)


def test_links_among_what_is_shared_lead_to_the_copy(what: Rehearsal) -> None:
    """As somebody leaves them who has moved the data elsewhere."""
    tree, shared = Path(what.tree), Path(what.shared)
    (shared / "data").rename(shared / "disk")
    (shared / "data").symlink_to("disk")
    (shared / "uploads").rename(shared / "disk/uploads")
    (shared / "uploads").symlink_to(shared / "disk/uploads")
    begin(what, lambda _: None)
    execute(tree / "data/app.db", "DROP TABLE users")
    (tree / "uploads/deep/large").write_text("changed")
    assert schema_of(Path(what.copy), what.sqlite) == {"data/app.db": {}}
    end(what)
    assert list(schema_of(shared, what.sqlite)["data/app.db"]) == ["table users"]
    assert (shared / "uploads/deep/large").stat().st_size == LARGEST_FILE + 1


def test_without_room_nothing_leads_to_the_copy(
    what: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rehearsal, "free_bytes", lambda _: 1)
    with pytest.raises(DataError, match="no room for the copy"):
        begin(what, lambda _: None)
    assert (Path(what.tree) / "data").readlink() == Path(what.shared) / "data"


def test_a_database_that_a_stranger_has_locked_is_told_and_nothing_leads_to_the_copy(
    what: Rehearsal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT", 0.1)
    database = Path(what.shared) / "data/app.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA locking_mode = EXCLUSIVE")
        stranger.execute("INSERT INTO users VALUES ('bob')")
        with pytest.raises(DataError, match=r"app\.db is locked by another process") as caught:
            begin(what, lambda _: None)
    assert f"fuser {database}" in caught.value.remedy
    assert (Path(what.tree) / "data").readlink() == Path(what.shared) / "data"
    begin(what, lambda _: None)
    assert (Path(what.tree) / "data").readlink() == Path(what.copy) / "data"


def test_a_link_that_was_replaced_is_told(what: Rehearsal) -> None:
    link = Path(what.tree) / "data"
    link.unlink()
    link.mkdir()
    with pytest.raises(DataError, match="is no link any more"):
        begin(what, lambda _: None)


def test_the_room_is_counted_that_a_copy_takes(what: Rehearsal) -> None:
    shared = Path(what.shared)
    database = sum(path.stat().st_size for path in (shared / "data").glob("app.db*"))
    found = bytes_of(shared, what.sqlite, what.files)
    assert found >= LARGEST_REST + database + LARGEST_FILE
    assert bytes_of(shared, ["data/none.db"], ["nothing"]) == LARGEST_REST
