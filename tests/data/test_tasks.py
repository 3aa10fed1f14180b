"""What is done to data, by a process of its own: with the real worker, killed where it may be."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bluegreen.data.manifest import Manifest
from bluegreen.data.tasks import FULL
from tests.data.test_databases import make
from tests.mounts import mounted_tmpfs

LIMIT = 60.0  # seconds
RENAMES = "?rename,renameat,?renameat2"
NUMBER, OPERATION = 3, 9


class Shop:
    """An app's data and its backups, worked on as the daemon has it done."""

    def __init__(self, directory: Path) -> None:
        self.shared, self.backups = directory / "shared", directory / "backups"
        self._files = [directory / "task", directory / "report"]
        (self.shared / "data").mkdir(parents=True)
        (self.shared / "uploads").mkdir()
        make(self.database, rows=50)
        self.upload.write_text("then")
        self.backups.mkdir()

    @property
    def database(self) -> Path:
        return self.shared / "data/app.db"

    @property
    def upload(self) -> Path:
        return self.shared / "uploads/a"

    def work(self, what: str, *, by: Sequence[str] = (), **task: Any) -> Any:
        """The document that the worker has written; None when it was killed."""
        places = {"app": "shop", "shared": str(self.shared), "backups": str(self.backups)}
        task_file, report = self._files
        task_file.write_text(json.dumps({"do": what, **places, "number": NUMBER, **task}))
        report.write_text("")
        words = (sys.executable, "-I", "-m", "bluegreen.data.worker", str(task_file), str(report))
        ended = subprocess.run([*by, *words], timeout=LIMIT, check=False, stdout=subprocess.PIPE)
        if ended.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL):
            return None
        assert ended.returncode == 0
        return json.loads(report.read_bytes())

    def done(self, what: str, **task: Any) -> Any:
        document = self.work(what, **task)
        assert "error" not in document, document
        return document["result"]

    def back_up(self) -> None:
        assert self.done("begin") == {"manifest": None}
        found = self.done(
            "gather", sqlite=["data/app.db"], files=["uploads"], directories=[], leniently=False
        )
        self.done("seal", manifest=manifest() | found)
        assert self.done("publish")["manifest"]["sqlite"] == {"data/app.db": {"one": 50, "two": 50}}

    def change(self) -> None:
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("DELETE FROM one")
        self.upload.write_text("now")

    def holds(self) -> str:
        with closing(sqlite3.connect(self.database)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            (rows,) = connection.execute("SELECT count(*) FROM one").fetchone()
        text = self.upload.read_text()
        assert (rows, text) in ((50, "then"), (0, "now")), "half of each"
        return text

    def leftovers(self) -> list[str]:
        return [path.name for path in self.shared.rglob(".*")]


def manifest() -> dict[str, Any]:
    return Manifest(
        id=NUMBER, app="shop", created_at=1.5, reason="asked for", version="v1"
    ).to_json()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)


@pytest.fixture
def changed(shop: Shop) -> Shop:
    """A restore of what was there is staged."""
    shop.back_up()
    shop.change()
    shop.done("stage", operation=OPERATION)
    return shop


def killed_at(call: int) -> Sequence[str]:
    """Before the words of a worker: SIGKILL as it renames for the ``call``-th time."""
    inject = f"inject={RENAMES}:signal=SIGKILL:when={call}"
    return ("strace", "-f", "-o", "/dev/null", "-e", f"trace={RENAMES}", "-e", inject)


def test_a_backup_is_listed_once_it_is_published(shop: Shop) -> None:
    assert shop.done("list") == {"backups": []}
    shop.done("begin")
    assert shop.done("has") == {"has": False}
    shop.back_up()
    assert shop.done("has") == {"has": True}
    (listed,) = shop.done("list")["backups"]
    assert (listed["id"], listed["problem"]) == (NUMBER, None)
    assert listed["manifest"] == shop.done("begin")["manifest"]  # done again, it is found whole
    assert shop.done("verify") == {"damaged": []}
    assert shop.done("prune", keep=1, paths=[]) == {"removed": []}


def test_one_that_is_not_there_is_not_found(shop: Shop) -> None:
    for what in ("manifest", "verify", "present"):
        error = shop.work(what)["error"]
        assert (error["kind"], error["message"]) == ("not-found", f"shop has no backup {NUMBER}")


@pytest.mark.parametrize("call", range(1, 6))
def test_killed_anywhere_a_replacement_is_carried_on(changed: Shop, call: int) -> None:
    done = changed.work("replace", by=killed_at(call), operation=OPERATION, step="carry-out")
    assert (done is None) == (call <= 4), "there are four names to change"
    changed.done("replace", operation=OPERATION, step="carry-out")
    assert changed.holds() == "then"
    changed.done("replace", operation=OPERATION, step="clear")
    assert (changed.holds(), changed.leftovers()) == ("then", [])


@pytest.mark.parametrize("call", range(1, 6))
def test_killed_anywhere_a_replacement_is_put_back(changed: Shop, call: int) -> None:
    changed.work("replace", by=killed_at(call), operation=OPERATION, step="carry-out")
    changed.work("replace", by=killed_at(call), operation=OPERATION, step="put-back")
    for step in ("put-back", "discard"):
        changed.done("replace", operation=OPERATION, step=step)
    assert (changed.holds(), changed.leftovers()) == ("now", [])


def test_a_restore_that_finds_no_room_says_what_it_needs_and_leaves_the_data(shop: Shop) -> None:
    shop.upload.write_bytes(bytes(3 * 2**20))
    shop.back_up()
    with mounted_tmpfs(shop.shared, size="2m"):
        shop.upload.parent.mkdir()
        shop.upload.write_text("now")
        error = shop.work("stage", operation=OPERATION)["error"]
        assert error["kind"] == FULL
        assert error["message"] == "the disk has no room for what is to be restored"
        assert "MiB needed" in error["detail"][0]
        shop.done("replace", operation=OPERATION, step="discard")
        assert [path.name for path in shop.shared.rglob(".*")] == []
        assert shop.upload.read_text() == "now"
    assert shop.upload.stat().st_size == 3 * 2**20


def test_a_database_keeps_its_owner_and_files_get_theirs_back(changed: Shop) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give files away")
    os.chown(changed.database, 12, 34)
    os.chown(changed.upload, 56, 78)
    changed.done("stage", operation=OPERATION)
    changed.done("replace", operation=OPERATION, step="carry-out")
    assert (changed.database.stat().st_uid, changed.database.stat().st_gid) == (12, 34)
    assert (changed.upload.stat().st_uid, changed.upload.stat().st_gid) == (0, 0)


def test_a_database_that_is_gone_comes_back_with_its_mode(shop: Shop) -> None:
    shop.database.chmod(0o640)
    shop.back_up()
    shop.database.unlink()
    shop.done("stage", operation=OPERATION)
    shop.done("replace", operation=OPERATION, step="carry-out")
    assert stat.S_IMODE(shop.database.stat().st_mode) == 0o640
