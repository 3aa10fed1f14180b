"""A backup as it is written and verified, without a daemon."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bluegreen.data import databases
from bluegreen.data.databases import NoRoomError
from bluegreen.data.gathering import Gathering, gather, seal
from bluegreen.data.manifest import (
    ARCHIVE,
    LISTING,
    NAME,
    Manifest,
    read_manifest,
    sqlite_copy,
)
from bluegreen.data.verification import verify
from bluegreen.errors import DataError
from tests.data.test_databases import make
from tests.mounts import mounted_tmpfs


def said(_: str) -> None:
    pass


@pytest.fixture
def what(tmp_path: Path) -> Gathering:
    """A database and uploads, and a draft to put their backup into."""
    shared, draft = tmp_path / "shared", tmp_path / "draft"
    (shared / "data").mkdir(parents=True)
    (shared / "uploads").mkdir()
    draft.mkdir()
    make(shared / "data/app.db", rows=50)
    (shared / "uploads/a").write_bytes(os.urandom(100_000))
    return Gathering(
        shared=str(shared), draft=str(draft), sqlite=["data/app.db"], files=["uploads"]
    )


def sealed(what: Gathering) -> Path:
    found = gather(what, said)
    manifest = Manifest(
        id=3, app="shop", created_at=1.5, reason="asked for", version="v1",
        sqlite=found.sqlite, damaged=tuple(found.damaged), files=found.files,
    )  # fmt: skip
    written = seal(Path(what.draft), manifest, said)
    assert read_manifest(Path(what.draft)) == written
    return Path(what.draft)


def test_what_was_written_is_in_the_manifest_and_verifies(what: Gathering) -> None:
    draft = sealed(what)
    manifest = read_manifest(draft)
    assert manifest.sqlite == {"data/app.db": {"one": 50, "two": 50}}
    assert manifest.files == {"uploads": {"files": 1, "bytes": 100_000}}
    assert manifest.members.keys() == {sqlite_copy("data/app.db"), ARCHIVE, LISTING}
    assert verify(draft) == []


@pytest.mark.parametrize("name", ["sqlite/data/app.db", ARCHIVE, LISTING, NAME])
@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_what_the_disk_has_damaged_is_named(what: Gathering, name: str, harm: str) -> None:
    draft = sealed(what)
    data = bytearray((draft / name).read_bytes())
    data[len(data) // 2] ^= 1
    if harm == "flip":
        (draft / name).write_bytes(data)
    elif harm == "cut":
        os.truncate(draft / name, len(data) // 2)
    else:
        (draft / name).unlink()
    found = verify(draft)
    assert found
    assert any(str(draft / name) in line for line in found)


def test_a_stranger_in_a_backup_is_found(what: Gathering) -> None:
    draft = sealed(what)
    (draft / "sqlite/data/app.db-wal").write_text("not ours")
    assert verify(draft) == [f"{draft}/sqlite/data/app.db-wal does not belong to the backup"]


def test_a_manifest_that_was_edited_is_not_believed(what: Gathering) -> None:
    draft = sealed(what)
    text = (draft / NAME).read_text()
    (draft / NAME).write_text(text.replace('"one": 50', '"one": 51'))
    with pytest.raises(DataError, match="its checksum is not right"):
        read_manifest(draft)


@pytest.mark.parametrize("path", ["data/none.db", "data"])
def test_a_database_that_is_not_there_is_named(what: Gathering, path: str) -> None:
    with pytest.raises(DataError, match=f"there is no database {path}"):
        gather(replace(what, sqlite=[path]), said)
    assert not list(Path(what.draft).iterdir())
    assert gather(replace(what, sqlite=[path], leniently=True), said).sqlite == {}


def test_a_link_out_of_the_shared_directory_is_refused(what: Gathering, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (Path(what.shared) / "out").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="out leads out of the shared directory"):
        gather(replace(what, files=["out"]), said)


def test_a_link_in_the_place_of_a_directory_is_refused(what: Gathering) -> None:
    (Path(what.shared) / "pictures").symlink_to("uploads")
    with pytest.raises(DataError, match=r"pictures is a link, to .*/shared/uploads"):
        gather(replace(what, files=["pictures"]), said)


def test_a_damaged_database_fails_a_backup_but_is_kept_before_a_restore(what: Gathering) -> None:
    database = Path(what.shared) / "data/app.db"
    database.write_text("no database, " * 1000)
    with pytest.raises(DataError, match=r"app\.db is damaged"):
        gather(what, said)
    for path in sorted(Path(what.draft).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    draft = sealed(replace(what, leniently=True))
    manifest = read_manifest(draft)
    assert manifest.damaged == ("data/app.db",)
    assert not manifest.is_good
    assert (draft / "damaged/data/app.db").read_bytes() == database.read_bytes()
    assert verify(draft) == []


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    directory = tmp_path / "small"
    directory.mkdir()
    with mounted_tmpfs(directory, size="2m"):
        yield directory


def test_a_database_that_will_not_fit_is_refused_before_anything_is_written(
    what: Gathering, small: Path
) -> None:
    (Path(what.shared) / "data/app.db").unlink()
    make(Path(what.shared) / "data/app.db", rows=4000)
    with pytest.raises(NoRoomError, match="no room") as caught:
        gather(replace(what, draft=str(small)), said)
    (line,) = caught.value.detail
    assert "2.0 MiB free" in line
    assert "4." in line.partition("free")[2]
    assert "MiB needed" in line
    assert not list(small.iterdir())


def test_a_database_that_a_stranger_has_locked_fails_a_backup_and_is_no_damaged_one(
    what: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "LOCK_WAIT", 0.1)
    database = Path(what.shared) / "data/app.db"
    with closing(sqlite3.connect(database, isolation_level=None)) as stranger:
        stranger.execute("PRAGMA locking_mode = EXCLUSIVE")
        stranger.execute("INSERT INTO one (text) VALUES ('x')")
        for leniently in (False, True):
            with pytest.raises(DataError, match=r"app\.db is locked by another") as caught:
                gather(replace(what, leniently=leniently), said)
            assert f"fuser {database}" in caught.value.remedy
    assert gather(what, said).sqlite == {"data/app.db": {"one": 51, "two": 50}}


def test_files_that_turn_out_not_to_fit_say_what_they_need(what: Gathering, small: Path) -> None:
    (Path(what.shared) / "uploads/large").write_bytes(os.urandom(5 * 2**20))
    with pytest.raises(NoRoomError, match="no room") as caught:
        gather(replace(what, draft=str(small)), said)
    assert "about 5.2 MiB needed" in caught.value.detail[0]


def test_a_database_that_grows_until_it_does_not_fit_says_so(
    what: Gathering, small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (Path(what.shared) / "data/app.db").unlink()
    make(Path(what.shared) / "data/app.db", rows=4000)
    monkeypatch.setattr("bluegreen.data.gathering.free_bytes", lambda _: 2**40)
    with pytest.raises(NoRoomError, match="no room"):
        gather(replace(what, draft=str(small)), said)


def test_progress_is_said_of_what_takes_long(
    what: Gathering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.data.gathering.PROGRESS_EVERY", 0.0)
    lines: list[str] = []
    gather(what, lines.append)
    assert lines[0] == "data/app.db: 0.1 MiB of 0.1 MiB (100 %)"
    assert "copied in" in lines[1]
    assert "100 rows in 2 tables" in lines[1]
