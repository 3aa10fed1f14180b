"""Releases from real git repositories."""

from __future__ import annotations

import asyncio
import itertools
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.errors import BluegreenError, SourceError, UsageError
from bluegreen.files import write_atomically
from bluegreen.model import Release
from tests.sources.repositories import Repository, cache, files_in, source_of


async def test_a_tag_a_branch_and_a_commit_are_resolved_to_the_commit_they_name(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    first, second = repository.git("rev-parse", "v1"), repository.git("rev-parse", "v2")
    for version, commit in (
        ("v1", first), ("main", second), (first, first), (first[:7], first),
        (second[:12].upper(), second),
    ):  # fmt: skip
        release = await source.resolve(version)
        assert (release.version, release.commit, release.warnings) == (version, commit, ())


async def test_what_git_is_to_read_is_not_written_on_the_event_loop(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writers = []

    def written(*arguments: Any, **options: Any) -> None:
        writers.append(threading.current_thread())
        write_atomically(*arguments, **options)

    monkeypatch.setattr("bluegreen.sources.git_command.write_atomically", written)
    await source_of(tmp_path, str(repository.directory)).resolve("v1")
    assert writers
    assert threading.main_thread() not in writers


async def test_an_annotated_tag_is_resolved_to_its_commit(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("tag", "-a", "-m", "a release", "v3", "v1")
    release = await source_of(tmp_path, str(repository.directory)).resolve("v3")
    assert release.commit == repository.git("rev-parse", "v1")


async def test_a_tag_wins_over_a_branch_and_a_branch_over_a_commit(
    repository: Repository, tmp_path: Path
) -> None:
    first, second = repository.git("rev-parse", "v1"), repository.git("rev-parse", "v2")
    repository.git("branch", "both", second)
    repository.git("tag", "both", first)
    repository.git("branch", first[:8], second)
    source = source_of(tmp_path, f"file://{repository.directory}")
    assert (await source.resolve("both")).commit == first
    assert (await source.resolve(first[:8])).commit == second


async def test_moved_branches_and_forced_tags_are_followed(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("main")
    third = repository.commit({"app.py": "three"})
    repository.git("tag", "--force", "v1")
    assert (await source.resolve("main")).commit == third
    assert (await source.resolve("v1")).commit == third


async def test_a_branch_that_became_a_directory_of_branches_is_followed(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    repository.git("branch", "feature")
    await source.resolve("feature")
    repository.git("branch", "-D", "feature")
    repository.git("branch", "feature/one")
    assert (await source.resolve("feature/one")).commit == repository.git("rev-parse", "main")
    with pytest.raises(SourceError):
        await source.resolve("feature")


async def test_the_tree_is_exactly_the_resolved_commit_even_if_the_branch_has_moved(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    release = await source.resolve("main")
    repository.commit({"app.py": "three"})
    await source.lay_out(release, tmp_path / "trees/1-blue")
    assert files_in(tmp_path / "trees/1-blue") == {"app.py": "two", "docs/readme": "read"}


async def test_modes_links_and_export_ignored_files_are_checked_out_without_a_git_directory(
    repository: Repository, tmp_path: Path
) -> None:
    (repository.directory / "run").write_text("#!/bin/sh\n")
    (repository.directory / "run").chmod(0o755)
    (repository.directory / "link").symlink_to("run")
    repository.commit({".gitattributes": "docs export-ignore\n"}, tag="v3")
    source = source_of(tmp_path, str(repository.directory))
    tree = tmp_path / "tree"
    await source.lay_out(await source.resolve("v3"), tree)
    assert os.access(tree / "run", os.X_OK)
    assert os.readlink(tree / "link") == "run"
    assert (tree / "docs/readme").is_file()
    assert not (tree / ".git").exists()


async def test_an_unknown_version_is_refused_with_the_nearest_names(
    repository: Repository, tmp_path: Path
) -> None:
    with pytest.raises(SourceError, match="no tag, branch or commit v22") as refused:
        await source_of(tmp_path, str(repository.directory)).resolve("v22")
    assert "v2" in refused.value.detail[0]


def test_an_ambiguous_prefix_is_refused(repository: Repository, tmp_path: Path) -> None:
    # Commits that differ in nothing but a number: two of these begin with the same 7 digits.
    script = "".join(
        f"commit refs/heads/many\ncommitter T <t@example.org> {number} +0000\ndata 1\nx\n"
        for number in range(1, 8001)
    )
    repository.git("fast-import", "--quiet", text=script)
    names = sorted(repository.git("rev-list", "many").split())
    same = [one for one, other in itertools.pairwise(names) if one[:7] == other[:7]]
    with pytest.raises(SourceError, match="several commits") as refused:
        asyncio.run(source_of(tmp_path, str(repository.directory)).resolve(same[0][:7]))
    assert len(refused.value.detail) == 2


@pytest.mark.parametrize(
    "version",
    ["--upload-pack=touch /tmp/x", "-v1", "v1^{commit}", "v1~1", "main@{1}", ":app.py", "v1:app.py",
     "refs/heads/main", "refs/tags/v1", "v1..v2", "", "a b", "v1\n", "HEAD^", "../../etc"],
)  # fmt: skip
async def test_tricks_with_revisions_are_refused(
    repository: Repository, tmp_path: Path, version: str
) -> None:
    with pytest.raises(UsageError):
        await source_of(tmp_path, str(repository.directory)).resolve(version)
    assert not cache(tmp_path).exists()


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(version=st.text(alphabet="abv12HEAD/.@{}^~:-_+\\*?[ \n\0", max_size=12))
async def test_no_text_resolves_to_anything_but_what_bears_that_very_name(
    repository: Repository, tmp_path: Path, version: str
) -> None:
    try:
        release = await source_of(tmp_path, str(repository.directory)).resolve(version)
    except BluegreenError:
        return
    names = repository.git("for-each-ref", "--format=%(refname:lstrip=2)").split()
    assert version in names or (release.commit or "").startswith(version)


async def test_a_commit_that_no_branch_leads_to_is_asked_for_by_name(
    repository: Repository, tmp_path: Path
) -> None:
    stray = repository.commit({"app.py": "stray"})
    repository.git("reset", "--quiet", "--hard", "v2")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    release = await source_of(tmp_path, str(repository.directory)).resolve(stray)
    assert release.commit == stray


async def test_two_operations_of_one_app_take_turns(repository: Repository, tmp_path: Path) -> None:
    releases = await asyncio.gather(
        *(source_of(tmp_path, str(repository.directory)).resolve(v) for v in ("v1", "v2", "main"))
    )
    assert all(release.commit for release in releases)


async def test_another_address_in_the_app_file_means_another_mirror(
    repository: Repository, tmp_path: Path
) -> None:
    await source_of(tmp_path, str(repository.directory)).resolve("v1")
    other = Repository(tmp_path / "other")
    commit = other.commit({"app.py": "other"}, tag="v1")
    release = await source_of(tmp_path, str(other.directory)).resolve("v1")
    assert (release.commit, release.warnings) == (commit, ())


async def test_what_the_daemon_was_started_with_does_not_lead_git_astray(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nonexistent")
    monkeypatch.setenv("GIT_WORK_TREE", "/nonexistent")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nonexistent/index")
    source = source_of(tmp_path, str(repository.directory))
    await source.lay_out(await source.resolve("v1"), tmp_path / "tree")
    assert files_in(tmp_path / "tree") == {"app.py": "one"}


async def test_a_local_repository_of_another_user_can_be_read(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = "GIT_TEST_ASSUME_DIFFERENT_OWNER"  # git's own test switch
    monkeypatch.setattr("bluegreen.sources.git_command._KEPT", (owner,))
    monkeypatch.setenv(owner, "1")
    assert (await source_of(tmp_path, str(repository.directory)).resolve("v1")).commit


async def test_hooks_in_the_mirror_never_run(repository: Repository, tmp_path: Path) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    hooks = cache(tmp_path) / "git/hooks"
    hooks.mkdir()
    for hook in ("post-checkout", "reference-transaction", "post-index-change"):
        (hooks / hook).write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
        (hooks / hook).chmod(0o755)
    repository.commit({"app.py": "three"}, tag="v3")
    await source.lay_out(await source.resolve("v3"), tmp_path / "tree")
    assert not (tmp_path / "hooked").exists()


async def test_many_packs_become_one_and_lose_nothing(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bluegreen.sources.mirror.MOST_PACKS", 2)
    source = source_of(tmp_path, str(repository.directory))
    dropped = repository.commit({"app.py": "dropped"})
    await source.resolve(dropped)
    repository.git("reset", "--quiet", "--hard", "v2")
    for number in range(4):
        repository.commit({"app.py": str(number)}, tag=f"v3.{number}")
        await source.resolve(f"v3.{number}")
    assert len(list((cache(tmp_path) / "git/objects/pack").glob("*.pack"))) <= 2
    release = Release(app="shop", version=dropped, commit=dropped, origin="")
    await source.lay_out(release, tmp_path / "tree")
    assert (tmp_path / "tree/app.py").read_text() == "dropped"


async def test_a_release_that_does_not_fit_is_refused_before_anything_is_written(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    release = await source.resolve("v1")
    monkeypatch.setattr("bluegreen.sources.git.free_bytes", lambda _: 100)
    with pytest.raises(SourceError, match="no room") as refused:
        await source.lay_out(release, tmp_path / "tree")
    assert "needed" in refused.value.detail[0]
    assert not (tmp_path / "tree").exists()
