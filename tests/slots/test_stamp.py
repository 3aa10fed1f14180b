"""Only what bears a sound stamp counts as a complete tree."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bluegreen.model import Slot
from bluegreen.slots import stamp
from bluegreen.slots.stamp import Draft, TreeInfo

INFO = TreeInfo(
    version="v1", commit="a" * 40, slot=Slot.GREEN, operation=12, recipe="r", bytes=4096
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "12-green").mkdir()
    return tmp_path / "12-green"


def test_a_stamp_is_read_as_it_was_written_and_kept_from_others(tree: Path) -> None:
    stamp.write_draft(tree, Draft(source="s", recipe="r"))
    assert stamp.read_draft(tree) == Draft(source="s", recipe="r")
    stamp.write_stamp(tree, INFO)
    assert stamp.read_stamp(tree) == INFO
    assert stamp.stamp_of(tree).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tree.parent.iterdir()) == ["12-green", "12-green.json"]


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "null", '{"version": "v1"}', "\0" * 300,
     *(json.dumps({"version": "v1", "commit": None, "slot": "green", "operation": 12,
                   "recipe": "r", "bytes": 1, "source": None, **wrong})
       for wrong in ({"operation": 13}, {"slot": "blue"}, {"slot": "red"}, {"bytes": "1"},
                     {"version": 1}, {"commit": 1}, {"more": 1}))],
)  # fmt: skip
def test_an_unsound_stamp_counts_for_nothing(tree: Path, content: str) -> None:
    stamp.stamp_of(tree).write_text(content)
    assert stamp.read_stamp(tree) is None


def test_a_stamp_without_its_directory_counts_for_nothing(tree: Path, tmp_path: Path) -> None:
    stamp.write_stamp(tree, INFO)
    tree.rename(tmp_path / "elsewhere")
    assert stamp.read_stamp(tree) is None
    tree.symlink_to("elsewhere")
    assert stamp.read_stamp(tree) is None


@pytest.mark.parametrize("name", ["0-blue", "01-blue", "1-red", "1-blue.json", ".1-blue", "x", "1"])
def test_other_names_are_not_trees(tmp_path: Path, name: str) -> None:
    assert stamp.named(tmp_path / name) is None


def test_trees_are_listed_by_operation_the_latest_first(tmp_path: Path) -> None:
    for name in ("9-blue", "10-green", "2-green", "foreign", "11-purple"):
        (tmp_path / name).mkdir()
    (tmp_path / "99-blue").symlink_to("9-blue")
    assert [path.name for path in stamp.trees_in(tmp_path)] == ["10-green", "9-blue", "2-green"]
    assert stamp.trees_in(tmp_path / "missing") == []
