"""Remotes that are gone or hang, a daemon that is killed, mirrors that are damaged."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from tests.sources.repositories import Repository, cache, git, source_of
from tests.waiting import eventually


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


async def test_a_cached_version_is_deployed_with_a_warning_when_the_remote_is_gone(
    repository: Repository, tmp_path: Path
) -> None:
    source = source_of(tmp_path, str(repository.directory))
    await source.resolve("v1")
    repository.directory.rename(tmp_path / "gone")
    for version, hint in (("v1", "tag v1 is used as cached"), ("main", "may have moved")):
        release = await source.resolve(version)
        assert hint in release.warnings[0]
        assert "does not appear to be a git repository" in release.warnings[0]
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
    await eventually(lambda: processes_that_mention(silent_address), "git has begun to fetch")
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
    fetching = f"--\0{hanging}"  # of git, not of its parent
    await eventually(
        lambda: processes_that_mention(fetching), "the daemon's git has begun to fetch"
    )
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


async def test_a_partial_mirror_that_cannot_be_read_is_told_and_made_anew(
    repository: Repository, tmp_path: Path
) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    source = source_of(tmp_path, f"file://{repository.directory}", clone="partial")
    commit = (await source.resolve("v2")).commit
    tree, mirror = repository.git("rev-parse", "v2^{tree}"), cache(tmp_path) / "git"
    unpack(mirror, tmp_path)
    file = mirror / "objects" / tree[:2] / tree[2:]
    file.chmod(0o600)
    file.write_bytes(b"damaged")
    with pytest.raises(SourceError, match="cannot be read from the git cache"):
        await source.resolve("v2", pinned=commit)
    await source.lay_out(await source.resolve("v2", pinned=commit), tmp_path / "tree")
    assert (tmp_path / "tree/app.py").read_text() == "two"
