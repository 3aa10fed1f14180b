"""Submodules: pinned, cached, and kept from reaching where they must not."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from bluegreen.sources.remote import parse_remote
from bluegreen.sources.submodules import Submodule, place_of, remote_of
from tests.sources.repositories import Repository, files_in, git, source_of


@pytest.fixture
def nested(tmp_path: Path) -> Repository:
    """A repository with a submodule, by a relative address, that has one itself."""
    inner = Repository(tmp_path / "inner")
    inner.commit({"inner.txt": "inner one"})
    middle = Repository(tmp_path / "middle")
    middle.commit({"middle.txt": "middle one"})
    middle.git("submodule", "--quiet", "add", "../inner", "deep/inner")
    middle.commit({})
    outer = Repository(tmp_path / "outer")
    outer.commit({"app.py": "one"}, tag="v0")
    outer.git("submodule", "--quiet", "add", "../middle", "lib")
    outer.commit({}, tag="v1")
    return outer


async def test_submodules_are_checked_out_recursively_at_the_pinned_commit(
    nested: Repository, tmp_path: Path
) -> None:
    (tmp_path / "inner/inner.txt").write_text("inner two")
    git(tmp_path / "inner", "commit", "--quiet", "-a", "-m", "later")
    source = source_of(tmp_path, str(nested.directory))
    await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    files = files_in(tmp_path / "tree")
    assert files["lib/middle.txt"] == "middle one"
    assert files["lib/deep/inner/inner.txt"] == "inner one"
    assert not list((tmp_path / "tree").rglob(".git"))


async def test_cached_submodules_need_no_remote(nested: Repository, tmp_path: Path) -> None:
    source = source_of(tmp_path, str(nested.directory))
    await source.resolve("v1")
    for name in ("inner", "middle", "outer"):
        (tmp_path / name).rename(tmp_path / f"{name}-gone")
    release = await source.resolve("v1")
    assert len(release.warnings) == 1
    await source.lay_out(release, tmp_path / "tree")
    assert (tmp_path / "tree/lib/deep/inner/inner.txt").read_text() == "inner one"


async def test_a_submodule_that_cannot_be_had_is_named(nested: Repository, tmp_path: Path) -> None:
    (tmp_path / "inner").rename(tmp_path / "gone")
    source = source_of(tmp_path, str(nested.directory))
    with pytest.raises(SourceError, match="submodule lib/deep/inner could not be fetched"):
        await source.resolve("v1")
    assert (await source.resolve("v0")).warnings == ()


async def test_submodules_are_left_out_where_the_app_file_says_so(
    nested: Repository, tmp_path: Path
) -> None:
    (tmp_path / "middle").rename(tmp_path / "gone")
    source = source_of(tmp_path, str(nested.directory), submodules=False)
    await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert list((tmp_path / "tree/lib").iterdir()) == []


async def test_a_submodule_without_an_address_stays_empty_with_a_warning(
    nested: Repository, tmp_path: Path
) -> None:
    (nested.directory / ".gitmodules").unlink()
    nested.commit({}, tag="v2")
    source = source_of(tmp_path, str(nested.directory))
    release = await source.resolve("v2")
    assert "stays empty" in release.warnings[0]
    await source.lay_out(release, tmp_path / "tree")
    assert list((tmp_path / "tree/lib").iterdir()) == []


async def test_a_submodule_by_an_address_that_runs_a_command_is_refused(
    nested: Repository, tmp_path: Path
) -> None:
    modules = nested.directory / ".gitmodules"
    modules.write_text(modules.read_text().replace("../middle", f"ext::touch {tmp_path}/ran"))
    nested.commit({}, tag="v2")
    with pytest.raises(SourceError, match="submodule lib has an address that is not allowed"):
        await source_of(tmp_path, str(nested.directory)).resolve("v2")
    assert not (tmp_path / "ran").exists()


def test_a_remote_repository_may_not_read_paths_of_this_host() -> None:
    parent = parse_remote("https://example.org/shop.git")
    for address in ("/srv/private.git", "file:///srv/private.git", "--upload-pack=x", ""):
        link = Submodule(path="lib", commit="0" * 40, address=address, wanted=True)
        with pytest.raises(SourceError, match="not allowed"):
            remote_of(link, parent)


def test_a_submodule_is_only_put_into_a_directory_of_the_tree(tmp_path: Path) -> None:
    (tmp_path / "tree/real").mkdir(parents=True)
    (tmp_path / "tree/link").symlink_to("/etc")
    (tmp_path / "tree/.GIT").mkdir()

    def place(path: str) -> Path:
        link = Submodule(path=path, commit="0" * 40, address="../x", wanted=True)
        return place_of(link, tmp_path / "tree")

    assert place("real") == tmp_path / "tree/real"
    for path in ("link", "link/x", "../tree/real", ".GIT", "missing", "real//x", ""):
        with pytest.raises(SourceError):
            place(path)
