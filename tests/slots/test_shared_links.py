"""What outlasts every release is linked into each tree."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from bluegreen.slots.seeding import seed
from bluegreen.slots.shared_links import link_shared, outermost
from bluegreen.sources.interruptible import Stop, StoppedError
from bluegreen.sources.removal import remove_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree/backend").mkdir(parents=True)
    return tmp_path / "tree"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    return tmp_path / "shared"


def share(tree: Path, shared: Path, paths: list[str], stop: Stop) -> None:
    """Link ``paths``, then give them their first content, as a deploy does."""
    wanted, aside = outermost(paths), tree / ".aside"
    link_shared(tree, shared, wanted, aside, stop)
    seed(aside, shared, wanted, stop)
    remove_tree(aside)


def test_a_missing_directory_is_created_empty(tree: Path, shared: Path) -> None:
    share(tree, shared, ["data", "var/uploads"], Stop())
    assert os.readlink(tree / "data") == str(shared / "data")
    (tree / "var/uploads/x").write_text("x")
    assert (shared / "var/uploads/x").read_text() == "x"


def test_a_missing_file_is_a_link_that_waits_for_it(tree: Path, shared: Path) -> None:
    share(tree, shared, ["backend/.env"], Stop())
    assert not (tree / "backend/.env").exists()
    (tree / "backend/.env").write_text("KEY=1")
    assert (shared / "backend/.env").read_text() == "KEY=1"


def test_the_first_release_seeds_what_is_missing_and_later_ones_do_not(
    tree: Path, shared: Path
) -> None:
    (tree / "data/sub").mkdir(parents=True)
    (tree / "data/sub/seed").write_text("first")
    (tree / "data/link").symlink_to("sub")
    (tree / "conf.ini").write_text("first")
    (tree / "conf.ini").chmod(0o600)
    share(tree, shared, ["data", "conf.ini"], Stop())
    assert (shared / "data/sub/seed").read_text() == "first"
    assert os.readlink(shared / "data/link") == "sub"
    assert (shared / "conf.ini").stat().st_mode & 0o777 == 0o600
    second = tree.parent / "second"
    (second / "data").mkdir(parents=True)
    (second / "data/new").write_text("second")
    (second / "conf.ini").write_text("second")
    share(second, shared, ["data", "conf.ini"], Stop())
    assert (second / "conf.ini").read_text() == "first"
    assert sorted(path.name for path in (shared / "data").iterdir()) == ["link", "sub"]


def test_a_path_within_another_shared_path_is_shared_with_it(tree: Path, shared: Path) -> None:
    share(tree, shared, ["data/uploads", "data"], Stop())
    assert (tree / "data").is_symlink()
    assert not (tree / "data").resolve().joinpath("uploads").is_symlink()


@pytest.mark.parametrize("target", ["/etc", "..", "../outside"])
def test_a_link_of_the_release_is_never_followed(
    tree: Path, shared: Path, tmp_path: Path, target: str
) -> None:
    (tmp_path / "outside").mkdir()
    (tree / "config").symlink_to(target)
    with pytest.raises(SourceError, match="config in the release is not a directory"):
        share(tree, shared, ["config/.env"], Stop())
    assert list((tmp_path / "outside").iterdir()) == []
    assert not Path("/etc/.env").exists()


def test_a_file_where_a_directory_is_needed_is_refused(tree: Path, shared: Path) -> None:
    (tree / "config").write_text("")
    with pytest.raises(SourceError):
        share(tree, shared, ["config/.env"], Stop())


def test_a_shared_path_that_the_release_has_as_a_link_is_replaced_without_following_it(
    tree: Path, shared: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/precious").touch()
    (tree / "data").symlink_to(tmp_path / "outside")
    share(tree, shared, ["data"], Stop())
    assert os.readlink(tree / "data") == str(shared / "data")
    assert list((shared / "data").iterdir()) == []
    assert (tmp_path / "outside/precious").exists()


def test_a_seed_that_is_interrupted_leaves_nothing_shared(tree: Path, shared: Path) -> None:
    class StopLater(Stop):
        calls = 0

        def check(self) -> None:
            self.calls += 1
            if self.calls > 2:
                raise StoppedError

    (tree / "data").mkdir()
    for name in "abc":
        (tree / "data" / name).touch()
    with pytest.raises(StoppedError):
        share(tree, shared, ["data"], StopLater())
    assert list(shared.iterdir()) == []
    assert (tree / ".aside/data/a").exists()


def test_what_the_operator_put_into_the_shared_directory_stays(tree: Path, shared: Path) -> None:
    shared.mkdir()
    (shared / "data").symlink_to("/nonexistent/volume")
    (tree / "data").mkdir()
    share(tree, shared, ["data"], Stop())
    assert os.readlink(shared / "data") == "/nonexistent/volume"
