"""``bluegreen backup``: what is typed, and what is said."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from bluegreen.cli import main
from bluegreen.cli.backup import backup_lines, loss_lines
from bluegreen.cli.parser import parse


def backup(**fields: Any) -> dict[str, Any]:
    return {
        "id": 12, "good": True, "problem": None, "created_at": time.time() - 3600,
        "reason": "asked for", "version": "v1", "bytes": 3 * 2**20, "sqlite": {}, "files": {},
        "postgres": {}, "command": False, "damaged": [],
    } | fields  # fmt: skip


def test_a_backup_is_said_in_two_lines() -> None:
    assert backup_lines(
        backup(
            sqlite={"data/app.db": {"users": 1000, "orders": 234}},
            files={"uploads": {"files": 1, "bytes": 5}},
            postgres={"postgresql:///shop": {"public.orders": 6}},
            command=True,
        )
    ) == [
        "   12  1 h ago      3.0 MiB  v1  asked for",
        "       1,240 rows in data/app.db, postgresql:///shop; 1 file in uploads; "
        "what its command printed",
    ]


def test_a_backup_that_cannot_be_used_says_why() -> None:
    unusable = {"id": 3, "good": False, "problem": "the manifest … cannot be used: why"}
    assert backup_lines(unusable) == ["    3  CANNOT BE USED: the manifest … cannot be used: why"]
    (_, holds) = backup_lines(backup(damaged=["data/app.db"]))
    assert holds.strip() == "DAMAGED data/app.db"


def test_a_loss_is_said_table_by_table() -> None:
    then = time.time() - 7200
    lines = loss_lines(
        {
            "app": "shop", "backup": 12, "created_at": then, "version": None,
            "sqlite": {
                "app.db": {
                    "rows": {"users": 3, "same": 2, "new": 1}, "changed_at": then + 3600,
                    "problem": None, "then": {"users": 1, "same": 2, "old": 5},
                },
                "gone.db": {
                    "rows": {}, "changed_at": None, "problem": "it is not there",
                    "then": {"users": 1},
                },
            },
            "files": {
                "uploads": {
                    "files": 2, "bytes": 9, "changed_at": then - 10,
                    "then": {"files": 1, "bytes": 5},
                }
            },
            "postgres": {
                "postgresql:///shop": {
                    "rows": {"public.orders": 7, "public.same": 1}, "problem": None,
                    "then": {"public.orders": 6, "public.same": 1},
                },
                "postgresql:///away": {"rows": {}, "problem": "no answer", "then": {"public.a": 1}},
            },
            "command": False,
        }
    )  # fmt: skip
    assert lines[0].startswith("backup 12 of shop, made ")
    assert lines[0].endswith("(2 h ago), by no release; all that was written since is replaced:")
    assert lines[1].startswith("  app.db: last changed ")
    assert lines[2:] == [
        "    new: 1 row now, no such table then",
        "    old: no such table now, 5 rows then",
        "    users: 3 rows now, 1 row then",
        "  gone.db: it is not there",
        "  uploads: 2 files now, 1 then; not changed since",
        "  postgresql:///shop: replaced as a whole",
        "    public.orders: 7 rows now, 6 rows then",
        "  postgresql:///away: replaced as a whole; no answer",
        "What is there now is backed up first.",
    ]


@pytest.mark.parametrize(
    ("words", "app", "number"),
    [(["restore", "shop", "12"], "shop", "12"), (["verify"], None, None)],
)
def test_an_app_and_a_number_are_understood(
    words: list[str], app: str | None, number: str | None
) -> None:
    options = parse(["backup", *words])
    assert (options.app, options.id) == (app, number)


@pytest.mark.parametrize("way", ["verify", "restore"])
def test_what_is_no_number_is_refused(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["backup", way, "shop", "newest", "--root", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "'newest' is no backup's number" in said
    assert "Next: bluegreen backup list names them" in said
