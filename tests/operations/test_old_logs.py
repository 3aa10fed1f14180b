"""Which operations' output is kept."""

from __future__ import annotations

from pathlib import Path

from bluegreen.operations.old_logs import KEPT, remove
from bluegreen.sources.interruptible import Stop
from tests.stack import Stack
from tests.waiting import eventually


def numbered(directory: Path, *numbers: int) -> None:
    for number in numbers:
        (directory / str(number)).mkdir(parents=True)
        (directory / str(number) / "build-all.log").write_text("all")


def kept(directory: Path) -> list[int]:
    return sorted(int(path.name) for path in directory.iterdir() if path.name.isdecimal())


def test_the_newest_are_kept_and_what_a_slot_holds(tmp_path: Path) -> None:
    numbered(tmp_path, *range(1, KEPT + 10))
    (tmp_path / "notes").mkdir()
    remove(tmp_path, {3}, Stop())
    assert kept(tmp_path) == [3, *range(10, KEPT + 10)]
    assert (tmp_path / "notes").is_dir()


def test_where_there_are_none_nothing_is_removed(tmp_path: Path) -> None:
    remove(tmp_path / "operations", (), Stop())
    assert not list(tmp_path.iterdir())


async def test_an_operation_removes_what_is_too_old_when_it_ends(deployed: Stack) -> None:
    directory = deployed.layout.app("monitor").logs / "operations"
    newer = list(range(10_000, 10_000 + KEPT))
    numbered(directory, 0, *newer)
    assert (await deployed.cli("stop", "monitor")).status == 0
    await eventually(lambda: 0 not in kept(directory), "what is too old is gone")
    assert set(newer) <= set(kept(directory))
