"""Which files are kept of a tree, and that what the app's user says of them is not believed."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.asset_types import ASSET_TYPES, is_asset
from bluegreen.errors import BuildError
from bluegreen.model import Job, JobResult, Slot
from bluegreen.slots import asset_files
from bluegreen.slots.asset_files import AssetsError, assets_in, keep, pack, packed
from bluegreen.slots.assets import Assets
from bluegreen.sources.interruptible import Stop
from tests.slots.sources import Runner, layout_in, settings_with


class Silent(Runner):
    async def run(self, job: Job) -> JobResult:
        return JobResult(exit_status=None, ending="killed by SIGKILL")


def assets_of(
    root: Path,
    directories: Mapping[str, str],
    *,
    own_user: bool = False,
    jobs: Runner | None = None,
) -> Assets:
    routes = [{"path": path, "service": "api", "assets": d} for path, d in directories.items()]
    layout = layout_in(root)
    for directory in (layout.trees, layout.logs):
        directory.mkdir(parents=True, exist_ok=True)
    if own_user:
        layout = replace(layout, env_launcher=Path("/bin/env"))
    return Assets(settings_with(routes=routes), layout, jobs or Runner())


def tree_in(root: Path, *files: str, name: str = "1-blue") -> Path:
    tree = layout_in(root).trees / name
    tree.mkdir(parents=True)
    for file in files:
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).write_text(f"this is {file}")
    return tree


def found_in(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in files}


@pytest.mark.parametrize("own_user", [False, True])
async def test_files_for_browsers_are_kept_under_the_paths_of_the_site(
    root: Path, own_user: bool
) -> None:
    directories = {"/": "dist", "/static/": "build/static", "/img": "build/img"}
    assets = assets_of(root, directories, own_user=own_user)
    tree = tree_in(
        root, "dist/a.js", "dist/deep/b.css", "dist/static/hidden-by-the-longer.js",
        "dist/index.html", "dist/.env.js", "dist/.git/c.js", "dist/key.pem", "dist/noext",
        "build/static/a.js", "build/static/ä ;$b.MJS", "build/img/x.png", "elsewhere.js",
    )  # fmt: skip
    (tree / "dist/out.js").symlink_to("../elsewhere.js")
    (tree / "dist/deep/out").symlink_to("../..")
    os.mkfifo(tree / "dist/pipe.js")
    (tree / "dist/a.js").chmod(0o600)
    before = os.umask(0o077)
    try:
        kept = await assets.keep(tree)
    finally:
        os.umask(before)
    copy = layout_in(root).assets / "1-blue"
    found = found_in(copy)
    assert found == {
        "a.js": "this is dist/a.js",
        "deep/b.css": "this is dist/deep/b.css",
        "static/a.js": "this is build/static/a.js",
        "static/ä ;$b.MJS": "this is build/static/ä ;$b.MJS",
        "img/x.png": "this is build/img/x.png",
    }
    assert kept == sum(len(text.encode()) for text in found.values())
    for path in copy.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o755 if path.is_dir() else 0o644)
    assert {path.name for path in tree.parent.iterdir()} == {"1-blue"}


@pytest.mark.parametrize("own_user", [False, True])
@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda _: None, "dist is not there after the build"),
        (lambda tree: (tree / "dist").symlink_to("/etc"), "dist is a link after the build"),
        (lambda tree: (tree / "dist").touch(), "dist is no directory after the build"),
    ],
)
async def test_without_the_directory_the_build_has_failed_and_says_what_to_do(
    root: Path, own_user: bool, spoil: Callable[[Path], None], why: str
) -> None:
    tree, assets = tree_in(root), assets_of(root, {"/": "dist"}, own_user=own_user)
    spoil(tree)
    with pytest.raises(BuildError) as failed:
        await assets.keep(tree)
    assert failed.value.message == f"shop: the assets of the release cannot be kept: {why}"
    assert "a [[build]] step may make it" in failed.value.remedy
    assert {path.name for path in tree.parent.iterdir()} == {"1-blue"}
    if own_user:  # another time it ends without a word; what was said before is not said again
        silent = assets_of(root, {"/": "dist"}, own_user=True, jobs=Silent())
        with pytest.raises(BuildError, match=r"cannot be kept: killed by SIGKILL$"):
            await silent.keep(tree)


@pytest.mark.parametrize(("limit", "most"), [("MOST_FILES", 1), ("MOST_BYTES", 20)])
async def test_there_is_a_limit_to_them(
    root: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int
) -> None:
    monkeypatch.setattr(asset_files, limit, most)
    tree, into = tree_in(root, "d/a.js", "d/b.js"), io.BytesIO()
    with pytest.raises(BuildError, match="they are more than"):
        await assets_of(root, {"/": "d"}).keep(tree)
    assert not list(layout_in(root).assets.iterdir()), "half of it may fill the disk"
    with pytest.raises(AssetsError, match="they are more than"):
        pack(assets_in(tree, {"/": "d"}), into)
    assert b"b.js" not in into.getvalue(), "nor is it written for the daemon to read"


async def test_a_slot_has_what_its_tree_has_until_that_is_reclaimed(root: Path) -> None:
    assets, layout = assets_of(root, {"/": "dist"}), layout_in(root)
    first = tree_in(root, "dist/one.js")
    second = tree_in(root, "dist/two.js", name="2-green")
    assets.place(Slot.BLUE, first)  # of an app that kept nothing yet
    await assets.keep(first)
    await assets.keep(second)
    assets.place(Slot.BLUE, first)
    assets.place(Slot.GREEN, second)
    assert found_in(layout.assets_beside(Slot.BLUE)) == {"two.js": "this is dist/two.js"}
    assert found_in(layout.assets_beside(Slot.GREEN)) == {"one.js": "this is dist/one.js"}
    assets.place(Slot.BLUE, None)
    assert not layout.assets_beside(Slot.GREEN).exists()
    assets.place(Slot.BLUE, second)
    assets.place(Slot.BLUE, tree_in(root, name="3-blue"))  # of which nothing was kept
    assert not layout.assets_beside(Slot.GREEN).exists()
    (first / "dist/one.js").unlink()
    (first / "dist").rmdir()
    first.rmdir()
    assets.reclaim()
    assert {path.name for path in layout.assets.iterdir()} == {
        "2-green", "green", "beside-blue", "beside-green",
    }  # fmt: skip


async def test_an_app_that_names_none_has_none(root: Path) -> None:
    assets = assets_of(root, {})
    assert await assets.keep(tree_in(root, "dist/a.js")) == 0
    assets.reclaim()
    assert not layout_in(root).assets.exists()


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / "d/e").mkdir(parents=True)
    (tree / "d/e/x.js").write_text("")
    (tree / "d/y.js").write_bytes(b"\0" * 3_000_000)
    into = io.BytesIO()
    pack(assets_in(tree, {"/": "d"}), into)
    into.seek(0)
    assert keep(packed(into), tmp_path / "copy", Stop()) == 3_000_000
    assert (tmp_path / "copy/y.js").read_bytes() == b"\0" * 3_000_000
    assert (tmp_path / "copy/e/x.js").read_bytes() == b""


def entry(name: bytes, text: bytes = b"x", size: int | None = None) -> bytes:
    return struct.pack(">HQ", len(name), len(text) if size is None else size) + name + text


@pytest.mark.parametrize(
    "written",
    [
        entry(b"../out.js"), entry(b"/out.js"), entry(b"a/../../out.js"), entry(b"a//b.js"),
        entry(b".a.js"), entry(b"a.pem"), entry(b"a\0.js"), entry(b""),
        entry(b"a.js", size=2), entry(b"a.js", size=2**63), entry(b"a.js")[:5],
        struct.pack(">HQ", 65535, 1) + b"a" * 65535,
    ],
)  # fmt: skip
def test_what_the_apps_user_makes_up_is_refused(tmp_path: Path, written: bytes) -> None:
    copy = tmp_path / "copy"
    with pytest.raises(AssetsError):
        keep(packed(io.BytesIO(entry(b"fine.js") + written)), copy, Stop())
    assert {path.name for path in tmp_path.iterdir()} == {"copy"}
    assert found_in(copy).keys() <= {"fine.js", "a.js"}


def test_a_name_comes_once(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError):
        keep(packed(io.BytesIO(entry(b"a.js") * 2)), tmp_path / "copy", Stop())


@given(st.text())
def test_nothing_hidden_is_an_asset(path: str) -> None:
    for ending in ASSET_TYPES:
        named = f"{path}.{ending}"
        hidden = any(not part or part[0] == "." for part in named.split("/")) or "\0" in named
        assert is_asset(named) == (not hidden)
