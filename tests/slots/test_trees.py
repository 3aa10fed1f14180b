"""The life of trees: laid out, stamped, found, placed, reclaimed."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bluegreen.errors import BluegreenError, BuildError, SlotError, SourceError
from bluegreen.model import Release, Slot
from bluegreen.slots import stamp
from bluegreen.slots.trees import LEAST_BYTES, Looks, Trees
from bluegreen.sources.directory import DirectorySource
from tests.slots.sources import RELEASE, FilesSource, Runner, layout_in, settings_with

STEP = {"name": "one", "run": "echo built > out"}


async def no_news(step: str, state: str) -> None:
    return None


def trees_in(root: Path, **tables: object) -> Trees:
    return Trees(settings_with(**tables), layout_in(root), Runner(), Looks())


async def make(
    trees: Trees, root: Path, operation: int, slot: Slot = Slot.BLUE, release: Release = RELEASE
) -> Path:
    """A complete tree."""
    tree = trees.path(operation, slot)
    await trees.lay_out(FilesSource({"app.py": "x"}), release, tree, slot)
    await trees.build(release, tree, slot, logs=root / "logs", on_step=no_news)
    await trees.complete(release, tree, slot, operation)
    return tree


async def test_a_tree_counts_only_once_it_is_complete(root: Path) -> None:
    trees = trees_in(root, build=[STEP], shared=["data"])
    tree = trees.path(12, Slot.GREEN)
    assert tree == layout_in(root).trees / "12-green"
    await trees.lay_out(FilesSource({"app.py": "x"}), RELEASE, tree, Slot.GREEN)
    assert trees.info(tree) is None
    await trees.build(RELEASE, tree, Slot.GREEN, logs=root / "logs", on_step=no_news)
    assert trees.info(tree) is None
    assert await trees.find(Slot.GREEN, version="v1", commit="a" * 40) is None
    info = await trees.complete(RELEASE, tree, Slot.GREEN, 12)
    assert trees.info(tree) == info
    assert (info.version, info.commit, info.slot, info.operation) == (
        "v1", "a" * 40, Slot.GREEN, 12,
    )  # fmt: skip
    assert info.bytes >= 4096
    assert (tree / "data").is_symlink()


async def test_a_tree_is_found_again_for_its_slot_version_and_commit_only(root: Path) -> None:
    trees = trees_in(root, build=[STEP])
    await make(trees, root, 1)
    latest = await make(trees, root, 3)
    assert await trees.find(Slot.BLUE, version="v1", commit="a" * 40) == latest
    assert await trees.find(Slot.GREEN, version="v1", commit="a" * 40) is None
    assert await trees.find(Slot.BLUE, version="v2", commit="a" * 40) is None
    assert await trees.find(Slot.BLUE, version="v1", commit="b" * 40) is None
    assert await trees.find_version(Slot.BLUE, "v1") == latest  # whatever its commit
    assert await trees.find_version(Slot.GREEN, "v1") is None


@pytest.mark.parametrize(
    "tables",
    [
        {"build": [{**STEP, "run": "echo other > out"}]},
        {"build": [STEP, {**STEP, "name": "two"}]},
        {"build": [{**STEP, "env": {"A": "b"}}]},
        {"build": [STEP], "env": {"A": "b"}},
        {"build": [STEP], "shared": ["data"]},
        {"build": [STEP], "routes": [{"path": "/", "service": "api", "assets": "dist"}]},
        {"build": [STEP],
         "services": {"api": {"command": "true", "ports": {"blue": 9084, "green": 9183}}}},
    ],
)  # fmt: skip
async def test_a_tree_built_with_other_settings_is_not_used(
    root: Path, tables: dict[str, object]
) -> None:
    await make(trees_in(root, build=[STEP]), root, 1)
    assert await trees_in(root, **tables).find(Slot.BLUE, version="v1", commit="a" * 40) is None


async def test_a_changed_secret_means_another_build_and_is_in_no_file(root: Path) -> None:
    secret = root / "secret"
    secret.write_text("hunter2-and-more")
    trees = trees_in(root, build=[STEP], env={"TOKEN": {"file": str(secret)}})
    tree = await make(trees, root, 1)
    assert await trees.find(Slot.BLUE, version="v1", commit="a" * 40) == tree
    assert "hunter2" not in stamp.stamp_of(tree).read_text()
    secret.write_text("hunter3-and-more")
    assert await trees.find(Slot.BLUE, version="v1", commit="a" * 40) is None


async def test_a_directory_that_changed_since_is_built_again_and_one_that_is_gone_is_not(
    root: Path,
) -> None:
    releases = root / "releases"
    (releases / "v1").mkdir(parents=True)
    (releases / "v1/app.py").write_text("one")
    template = f"{releases}/{{version}}"
    trees = trees_in(root, source={"directory": template})
    source = DirectorySource("shop", template, timeout=10)
    release = await source.resolve("v1")
    tree = trees.path(1, Slot.BLUE)
    await trees.lay_out(source, release, tree, Slot.BLUE)
    await trees.build(release, tree, Slot.BLUE, logs=root / "logs", on_step=no_news)
    await trees.complete(release, tree, Slot.BLUE, 1)
    assert await trees.find(Slot.BLUE, version="v1", commit=None) == tree
    (releases / "v1/app.py").write_text("two!")
    assert await trees.find(Slot.BLUE, version="v1", commit=None) is None
    (releases / "v1").rename(releases / "gone")
    assert await trees.find(Slot.BLUE, version="v1", commit=None) == tree


async def test_laying_out_replaces_what_an_interrupted_attempt_left(root: Path) -> None:
    trees = trees_in(root)
    tree = await make(trees, root, 1)
    (tree / "left").touch()
    await trees.lay_out(FilesSource({"new": ""}), RELEASE, tree, Slot.BLUE)
    assert [path.name for path in tree.iterdir()] == ["new"]
    assert trees.info(tree) is None


@pytest.mark.parametrize(
    "error",
    [
        SourceError("no", remedy="none"),
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EROFS, "Read-only file system"),
    ],
)
async def test_a_failed_layout_leaves_nothing_and_says_why(root: Path, error: Exception) -> None:
    trees = trees_in(root)
    tree = trees.path(1, Slot.BLUE)
    with pytest.raises(SourceError) as failed:
        await trees.lay_out(FilesSource({"app.py": "x"}, error), RELEASE, tree, Slot.BLUE)
    assert list(tree.parent.iterdir()) == []
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        assert "needed" in failed.value.detail[-1]


async def test_a_stamp_that_cannot_be_written_means_an_incomplete_tree(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trees = trees_in(root)
    tree = trees.path(1, Slot.BLUE)
    await trees.lay_out(FilesSource({"app.py": "x"}), RELEASE, tree, Slot.BLUE)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("bluegreen.slots.stamp.write_atomically", full)
    with pytest.raises(BuildError) as failed:
        await trees.complete(RELEASE, tree, Slot.BLUE, 1)
    assert "needed" in failed.value.detail[-1]
    assert trees.info(tree) is None


async def test_a_tree_that_vanished_cannot_be_completed(root: Path) -> None:
    trees = trees_in(root)
    layout_in(root).trees.mkdir(parents=True)
    with pytest.raises(BluegreenError):
        await trees.complete(RELEASE, trees.path(1, Slot.BLUE), Slot.BLUE, 1)
    assert trees.info(trees.path(1, Slot.BLUE)) is None


async def test_the_link_of_a_slot_is_placed_moved_and_removed(root: Path) -> None:
    trees = trees_in(root)
    first, second = await make(trees, root, 1), await make(trees, root, 3)
    assert await trees.current(Slot.BLUE) is None
    for tree in (first, second):
        await trees.place(Slot.BLUE, tree)
        assert await trees.current(Slot.BLUE) == tree
        assert (layout_in(root).slot(Slot.BLUE) / "app.py").read_text() == "x"
    await trees.place(Slot.BLUE, None)
    await trees.place(Slot.BLUE, None)
    assert await trees.current(Slot.BLUE) is None


async def test_an_incomplete_or_foreign_tree_never_gets_into_a_slot(root: Path) -> None:
    trees = trees_in(root)
    good = await make(trees, root, 1)
    await trees.place(Slot.BLUE, good)
    half = trees.path(2, Slot.BLUE)
    await trees.lay_out(FilesSource({"app.py": "x"}), RELEASE, half, Slot.BLUE)
    for tree in (half, root, trees.path(9, Slot.BLUE)):
        with pytest.raises(SlotError):
            await trees.place(Slot.BLUE, tree)
    assert await trees.current(Slot.BLUE) == good


async def test_a_directory_where_the_link_belongs_is_left_alone(root: Path) -> None:
    trees = trees_in(root)
    layout_in(root).slot(Slot.BLUE).mkdir(parents=True)
    with pytest.raises(SlotError, match="is not a link"):
        await trees.place(Slot.BLUE, await make(trees, root, 1))
    assert await trees.current(Slot.BLUE) is None


async def test_reclaim_deletes_what_is_neither_kept_nor_in_a_slot(root: Path) -> None:
    trees = trees_in(root)
    kept, placed, old = [await make(trees, root, number) for number in (1, 2, 3)]
    half = trees.path(4, Slot.GREEN)
    await trees.lay_out(FilesSource({"app.py": "x"}), RELEASE, half, Slot.GREEN)
    await trees.place(Slot.BLUE, placed)
    directory = layout_in(root).trees
    (directory / "foreign").mkdir()
    (directory / "look").mkdir()  # a plan's, of a daemon that was killed
    (directory / ".12-blue.json.0badcafe.tmp").touch()
    (directory / "8-green.json").touch()
    assert await trees.reclaim([kept]) == 2
    assert sorted(path.name for path in directory.iterdir()) == [
        "1-blue", "1-blue.json", "2-blue", "2-blue.json", "foreign",
    ]  # fmt: skip
    assert trees.info(old) is None


async def test_reclaim_removes_read_only_directories_and_follows_no_link(root: Path) -> None:
    trees = trees_in(root)
    tree = await make(trees, root, 1)
    (root / "outside").mkdir(mode=0o500)
    (root / "outside/precious").mkdir()
    (tree / "go/mod").mkdir(parents=True)
    (tree / "go/mod/file").touch()
    (tree / "link").symlink_to(root / "outside")
    (tree / "go/out").symlink_to("/")
    for mode, path in ((0o444, "go/mod/file"), (0o555, "go/mod"), (0o000, "go"), (0o555, "")):
        (tree / path).chmod(mode)
    assert await trees.reclaim([]) == 1
    assert not tree.exists()
    assert (root / "outside/precious").is_dir()
    assert (root / "outside").stat().st_mode & 0o777 == 0o500
    (root / "outside").chmod(0o700)


async def test_the_stamp_goes_before_the_tree(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trees = trees_in(root)
    tree = await make(trees, root, 1)

    def fail(path: Path) -> None:
        assert not stamp.stamp_of(path).exists()
        raise OSError(errno.EBUSY, "Device or resource busy", str(path))

    monkeypatch.setattr("bluegreen.slots.custody.remove_tree", fail)
    with pytest.raises(SlotError):
        await trees.reclaim([])
    assert tree.exists()
    assert trees.info(tree) is None


async def test_a_new_tree_is_expected_to_need_what_the_largest_one_did(root: Path) -> None:
    trees = trees_in(root)
    assert await trees.bytes_needed() == LEAST_BYTES
    tree = await make(trees, root, 1)
    assert await trees.bytes_needed() == LEAST_BYTES
    with (tree / "big").open("wb") as big:
        os.posix_fallocate(big.fileno(), 0, LEAST_BYTES + 1)
    os.link(tree / "big", tree / "same")
    info = await trees.complete(RELEASE, tree, Slot.BLUE, 1)
    assert LEAST_BYTES < info.bytes < LEAST_BYTES + 2**20
    assert await trees.bytes_needed() == info.bytes
