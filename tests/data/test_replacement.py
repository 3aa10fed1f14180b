"""A replacement that is cut off anywhere is carried on or put back: old or new, never a mixture."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from bluegreen.data.replacement import Replacement, Step, replacements

OPERATION = 7


class Cut(BaseException):
    """As if the process had been killed."""


def cut_off(monkeypatch: pytest.MonkeyPatch, after: int) -> Callable[[], None]:
    """The ``after``-th change of a name is the last that is made; returns how to go on."""
    left = [after]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def change(*arguments: Any, **named: Any) -> Any:
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return real(*arguments, **named)

        return change

    for owner, name in ((os, "rename"), (os, "unlink"), (Path, "unlink"), (Path, "touch")):
        monkeypatch.setattr(owner, name, counted(getattr(owner, name)))

    def go_on() -> None:
        left[0] = -1

    return go_on


def write(path: Path, text: str) -> sqlite3.Connection:
    """A database with one row, whose content is still in its ``-wal``."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE said (text TEXT)")
    connection.execute("INSERT INTO said VALUES (?)", (text,))
    return connection


def left_behind(path: Path, text: str) -> None:
    """As a process that was killed leaves a database: with its ``-wal`` and ``-shm``."""
    made = path.with_name("made.db")
    with closing(write(made, text)):
        for suffix in ("", "-wal", "-shm"):
            path.with_name(path.name + suffix).write_bytes(
                made.with_name(made.name + suffix).read_bytes()
            )
    made.unlink()


def said(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return [text for (text,) in connection.execute("SELECT text FROM said")]


@pytest.fixture(params=[True, False], ids=["replaced", "absent"])
def replacement(request: pytest.FixtureRequest, tmp_path: Path) -> Replacement:
    """An old database with what is in its log (or none), and the new one staged."""
    found = Replacement(target=tmp_path / "app.db", operation=OPERATION)
    if request.param:
        left_behind(found.target, "old")
    with closing(write(found.staged, "new")):
        pass
    return found


def test_carried_out_the_new_one_is_there_alone(replacement: Replacement) -> None:
    replacement.carry_out()
    assert said(replacement.target) == ["new"]
    replacement.carry_out()
    replacement.clear()
    assert said(replacement.target) == ["new"]
    assert [path.name for path in replacement.target.parent.iterdir()] == ["app.db"]


@pytest.mark.parametrize("after", range(8))
def test_cut_off_anywhere_it_is_carried_on(
    replacement: Replacement, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = cut_off(monkeypatch, after)
    with suppress(Cut):
        replacement.carry_out()
    go_on()
    replacement.carry_out()
    assert said(replacement.target) == ["new"]
    replacement.clear()
    assert [path.name for path in replacement.target.parent.iterdir()] == ["app.db"]


@pytest.mark.parametrize("again", range(8))
@pytest.mark.parametrize("after", range(8))
def test_cut_off_anywhere_it_is_put_back_also_when_that_is_cut_off(
    replacement: Replacement, after: int, again: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    was_there = replacement.target.exists()
    for count, step in ((after, replacement.carry_out), (again, replacement.put_back)):
        go_on = cut_off(monkeypatch, count)
        with suppress(Cut):
            step()
        go_on()
    replacement.put_back()
    replacement.discard()
    replacement.put_back()  # once more, by a daemon that does not know that it was done
    replacement.discard()
    left = sorted(path.name for path in replacement.target.parent.iterdir())
    if was_there:
        assert said(replacement.target) == ["old"]
        assert left[0] == "app.db"
        assert not [name for name in left if name.startswith(".")]
    else:
        assert left == []


def test_what_the_restored_database_has_left_does_not_mix_with_the_old_one(
    tmp_path: Path,
) -> None:
    replacement = Replacement(target=tmp_path / "app.db", operation=OPERATION)
    left_behind(replacement.target, "old")
    with closing(write(replacement.staged, "new")):
        pass
    replacement.carry_out()
    with closing(sqlite3.connect(replacement.target, isolation_level=None)) as app:
        app.execute("INSERT INTO said VALUES ('newer')")
        assert replacement.target.with_name("app.db-wal").stat().st_size
        replacement.put_back()
    assert said(replacement.target) == ["old"]


def test_what_was_not_there_is_taken_away_and_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cut off after any of its steps: with its log, or not at all."""
    for after in range(8):
        shared = tmp_path / str(after)
        (shared / "data").mkdir(parents=True)
        left_behind(shared / "data/new.db", "of a migration")
        there = {path.name for path in (shared / "data").iterdir()}
        (taken,) = replacements(shared, (), OPERATION, absent=["data/new.db"])
        go_on = cut_off(monkeypatch, after)
        with suppress(Cut):
            taken.carry_out()
        go_on()
        taken.carry_out()
        assert not {path.name for path in (shared / "data").iterdir()} & there
        go_on = cut_off(monkeypatch, after)
        with suppress(Cut):
            taken.put_back()
        go_on()
        taken.put_back()
        assert {path.name for path in (shared / "data").iterdir()} == there
        taken.carry_out()
        taken.clear()
        assert not list((shared / "data").iterdir())
        monkeypatch.undo()


def test_of_what_was_not_there_a_link_itself_goes(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "uploads").symlink_to("elsewhere")
    (taken,) = replacements(tmp_path, (), OPERATION, absent=["uploads", "never/there"])[:1]
    taken.carry_out()
    taken.clear()
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    (nothing,) = replacements(tmp_path, (), OPERATION, absent=["never/there"])
    for step in Step:
        nothing.do(step)
