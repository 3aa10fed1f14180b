"""What a plan sees of a repository: what is there by now, and nothing is left of having looked."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bluegreen.errors import SourceError, UsageError
from bluegreen.sources.cache_lock import cache_lock
from bluegreen.sources.comparison import MOST_COMMITS
from tests.sources.repositories import Repository, cache, source_of


def left(root: Path) -> list[str]:
    """What there is in the cache besides the mirror itself."""
    return sorted(path.name for path in (cache(root) / "plans").iterdir())


def mirrored(root: Path) -> dict[Path, bytes]:
    mirror = cache(root) / "git"
    return {path: path.read_bytes() for path in mirror.rglob("*") if path.is_file()}


async def test_commits_between_what_serves_and_what_was_pushed_since(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    first = (await source.resolve("v1")).commit
    third = repository.commit({"app.py": "three"})
    repository.git(
        "commit", "--quiet", "--allow-empty", "-m", "red \033[31m and\ttabs " + "x" * 200
    )
    repository.git("tag", "-a", "-m", "a release", "v3")
    before = mirrored(tmp_path)
    found = await source.compare("v3", first)
    assert found.release.commit == repository.git("rev-parse", "v3^{commit}")
    assert (found.added.count, found.dropped.count, found.unknown) == (3, 0, None)
    newest, middle, _ = found.added.newest
    assert newest.subject.startswith("red and tabs xxx")
    assert newest.subject.endswith("x…")
    assert (middle.id, middle.subject) == (third, "a change")
    assert middle.at > 1e9
    assert mirrored(tmp_path) == before
    assert left(tmp_path) == []
    # The deploy that follows fetches it, as it would have without.
    assert (await source.resolve("v3")).commit == found.release.commit


async def test_the_way_back_names_what_it_takes_back(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    second = (await source.resolve("v2")).commit
    found = await source.compare("v1", second)
    assert (found.added.count, found.dropped.count) == (0, 1)
    assert found.dropped.newest[0].id == second
    same = await source.compare("v2", second)
    assert (same.added.count, same.dropped.count) == (0, 0)


async def test_many_commits_are_counted_and_the_newest_named(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    second = (await source.resolve("v2")).commit
    for _ in range(MOST_COMMITS + 3):
        head = repository.commit({})
    found = await source.compare("main", second)
    assert found.added.count == MOST_COMMITS + 3
    assert len(found.added.newest) == MOST_COMMITS
    assert found.added.newest[0].id == head


async def test_before_the_first_fetch_the_remote_is_only_asked(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("tag", "-a", "-m", "a release", "v3")
    source = source_of(tmp_path, str(repository.directory))
    head = repository.git("rev-parse", "HEAD")
    for version in ("v3", "v2", "main"):
        found = await source.compare(version, None)
        assert (found.release.commit, found.release.warnings, found.unknown) == (head, (), None)
    unsure = await source.compare(head[:10], None)
    assert unsure.release.commit is None
    assert "is seen as it is fetched" in unsure.release.warnings[0]
    with pytest.raises(SourceError, match="there is no tag, branch or commit v9") as caught:
        await source.compare("v9", None)
    assert "v1" in caught.value.detail[0]
    assert not (cache(tmp_path) / "git").exists()
    assert left(tmp_path) == []


async def test_a_remote_that_is_away_is_no_hindrance_for_what_is_cached(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    first = (await source.resolve("v1")).commit
    shutil.move(repository.directory, tmp_path / "elsewhere")
    found = await source.compare("v2", first)
    assert found.added.count == 1
    assert "v2 is used as cached" in found.release.warnings[0]
    with pytest.raises(SourceError, match="v3 could not be fetched"):
        await source.compare("v3", first)
    assert left(tmp_path) == []


async def test_a_commit_that_nobody_knows_any_more_is_said(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    found = await source.compare("v2", "0" * 40)
    assert found.unknown == f"commit 0000000000, which serves, is not in {repository.directory}"
    assert found.release.commit == repository.git("rev-parse", "v2")


async def test_what_is_no_version_is_refused(repository: Repository, tmp_path: Path) -> None:
    source = source_of(tmp_path, str(repository.directory))
    for version in ("--upload-pack=x", "refs/tags/v1", "v1^{tree}"):
        with pytest.raises(UsageError):
            await source.compare(version, None)
    await source.resolve("v1")
    with pytest.raises(SourceError, match="there is no tag, branch or commit v9"):
        await source.compare("v9", None)


async def test_it_waits_for_no_operation_that_is_at_work_in_the_cache(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    first = (await source.resolve("v1")).commit
    async with cache_lock(cache(tmp_path) / "git.lock", timeout=5):
        found = await asyncio.wait_for(source.compare("v2", first), 20)
    assert found.added.count == 1


async def test_an_outlook_beside_fetches_disturbs_none_of_them(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    first = (await source.resolve("v1")).commit
    for number in range(3):
        head = repository.commit({"app.py": str(number)})
        found = await asyncio.gather(
            source.compare("main", first), source.resolve("main"), source.compare("v2", first)
        )
        assert (found[0].release.commit, found[1].commit) == (head, head)
    assert left(tmp_path) == []
