"""Releases from real git repositories."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluegreen.errors import BluegreenError, SourceError, UsageError
from bluegreen.model import Release
from tests.sources.repositories import Repository, files_in, git, layout_in, source_of


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "origin")
    made.commit({"app.py": "one"}, tag="v1")
    made.commit({"app.py": "two", "docs/readme": "read"}, tag="v2")
    return made


def cache(root: Path) -> Path:
    return layout_in(root).cache


def processes_that_mention(text: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                command = Path(f"/proc/{entry}/cmdline").read_bytes()
            except OSError:
                continue
            if text.encode() in command:
                found.append(int(entry))
    return found


def unpack(mirror: Path, aside: Path) -> None:
    """Turn the packs of ``mirror`` into loose objects."""
    for pack in list(mirror.glob("objects/pack/*.pack")):
        moved = pack.rename(aside / pack.name)
        pack.with_suffix(".idx").unlink()
        with moved.open("rb") as content:
            subprocess.run(
                ["git", f"--git-dir={mirror}", "unpack-objects", "-q"], stdin=content, check=True
            )


def start_daemon(root: Path, address: str) -> subprocess.Popen[bytes]:
    """A process that resolves v1 of ``address``, as a daemon would."""
    code = (
        "import asyncio, sys; from pathlib import Path\n"
        "from tests.sources.repositories import source_of\n"
        "asyncio.run(source_of(Path(sys.argv[1]), sys.argv[2]).resolve('v1'))"
    )
    return subprocess.Popen(
        [sys.executable, "-c", code, str(root), address], cwd=Path(__file__).parents[2]
    )


async def condition(holds: Callable[[], object]) -> None:
    """Wait until ``holds()`` is true, for 10 s at most."""
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 - what /proc shows has no event
            await asyncio.sleep(0.02)


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


async def test_a_cached_version_is_deployed_with_a_warning_when_the_remote_is_gone(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    repository.directory.rename(tmp_path / "gone")
    for version, hint in (("v1", "tag v1 is used as cached"), ("main", "may have moved")):
        release = await source.resolve(version)
        assert hint in release.warnings[0]
        await source.lay_out(release, tmp_path / f"tree-{version}")
    assert (tmp_path / "tree-main/app.py").read_text() == "two"
    with pytest.raises(SourceError, match="v9 could not be fetched") as refused:
        await source.resolve("v9")
    assert refused.value.detail
    assert "source" in refused.value.remedy


async def test_a_cached_full_commit_needs_no_remote(repository: Repository, tmp_path: Path) -> None:
    source = source_of(tmp_path, str(repository.directory))
    commit = (await source.resolve("v1")).commit
    assert commit is not None
    repository.directory.rename(tmp_path / "gone")
    assert (await source.resolve(commit)).warnings == ()


async def test_a_commit_that_no_branch_leads_to_is_asked_for_by_name(
    repository: Repository, tmp_path: Path
) -> None:
    stray = repository.commit({"app.py": "stray"})
    repository.git("reset", "--quiet", "--hard", "v2")
    repository.git("config", "uploadpack.allowAnySHA1InWant", "true")
    release = await source_of(tmp_path, str(repository.directory)).resolve(stray)
    assert release.commit == stray


@pytest.fixture
async def silent_address() -> AsyncIterator[str]:
    """A listener that accepts connections and never answers."""

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    await server.wait_closed()


@pytest.mark.parametrize("scheme", ["git", "http"])
async def test_a_remote_that_never_answers_is_given_up_at_the_time_limit(
    silent_address: str, tmp_path: Path, scheme: str
) -> None:
    source = source_of(tmp_path, f"{scheme}://{silent_address}/shop.git", timeout=1)
    with pytest.raises(SourceError, match="timed out"):
        await source.resolve("v1")
    assert processes_that_mention(silent_address) == []
    assert [path.name for path in cache(tmp_path).iterdir()] == ["git.lock"]


async def test_a_cached_version_is_deployed_when_the_remote_hangs(
    repository: Repository, silent_address: str, tmp_path: Path
) -> None:
    commit = (await source_of(tmp_path, str(repository.directory)).resolve("v1")).commit
    address = f"git://{silent_address}/shop.git"
    git(cache(tmp_path) / "git", "config", "remote.origin.url", address)
    release = await source_of(tmp_path, address, timeout=1).resolve("v1")
    assert release.commit == commit
    assert "timed out" in release.warnings[0]


async def test_a_cancelled_fetch_leaves_no_process(silent_address: str, tmp_path: Path) -> None:
    source = source_of(tmp_path, f"git://{silent_address}/shop.git")
    task = asyncio.create_task(source.resolve("v1"), name="resolve")
    await condition(lambda: processes_that_mention(silent_address))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert processes_that_mention(silent_address) == []


async def test_a_git_that_a_killed_daemon_left_behind_is_ended_and_its_locks_removed(
    repository: Repository, silent_address: str, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    hanging, mirror = f"git://{silent_address}/shop.git", cache(tmp_path) / "git"
    git(mirror, "config", "remote.origin.url", hanging)
    daemon = start_daemon(tmp_path, hanging)
    await condition(lambda: processes_that_mention(f"--\0{hanging}"))  # git, not its parent
    git(mirror, "config", "remote.origin.url", str(repository.directory))
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    assert processes_that_mention(silent_address)
    for stale in ("packed-refs.lock", "refs/heads/main.lock", "config.lock"):
        (mirror / stale).touch()
    (cache(tmp_path) / ".git.deadbeef").mkdir()
    repository.commit({"app.py": "three"}, tag="v3")
    assert (await source.resolve("v3")).warnings == ()
    assert processes_that_mention(silent_address) == []
    assert not list(cache(tmp_path).glob(".git.*"))


async def test_two_operations_of_one_app_take_turns(repository: Repository, tmp_path: Path) -> None:
    releases = await asyncio.gather(
        *(source_of(tmp_path, str(repository.directory)).resolve(v) for v in ("v1", "v2", "main"))
    )
    assert all(release.commit for release in releases)


@pytest.mark.parametrize("damage", ["objects", "head", "config", "refs"])
async def test_a_broken_mirror_is_made_anew(
    repository: Repository, tmp_path: Path, damage: str
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    mirror = cache(tmp_path) / "git"
    if damage == "objects":
        shutil.rmtree(mirror / "objects")
        (mirror / "objects").mkdir()
    elif damage == "head":
        (mirror / "HEAD").write_text("")
    elif damage == "config":
        (mirror / "config").write_text("[broken")
    else:
        (mirror / "packed-refs").write_bytes(b"\0" * 100)
    repository.commit({"app.py": "three"}, tag="v3")
    release = await source.resolve("v3")
    await source.lay_out(release, tmp_path / "tree")
    assert (tmp_path / "tree/app.py").read_text() == "three"


async def test_a_mirror_that_was_being_replaced_when_the_daemon_was_killed_is_kept(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    (cache(tmp_path) / "git").rename(cache(tmp_path) / ".git.old-0badcafe")
    (cache(tmp_path) / ".git.deadbeef").mkdir()
    repository.directory.rename(tmp_path / "gone")
    assert "used as cached" in (await source.resolve("v1")).warnings[0]
    assert not list(cache(tmp_path).glob(".git.*"))


async def test_damage_found_while_laying_out_is_repaired_by_the_next_deploy(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    release = await source.resolve("v2")
    blob = repository.git("rev-parse", "v2:app.py")
    mirror = cache(tmp_path) / "git"
    unpack(mirror, tmp_path)
    (mirror / "objects" / blob[:2] / blob[2:]).unlink()
    with pytest.raises(SourceError, match="cannot be read") as failed:
        await source.lay_out(release, tmp_path / "broken")
    assert "made anew" in failed.value.remedy
    await source.lay_out(await source.resolve("v2"), tmp_path / "tree")
    assert (tmp_path / "tree/app.py").read_text() == "two"


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
