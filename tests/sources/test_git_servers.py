"""Real git servers over loopback: how they let one in, and how they fail, hang and lie."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from bluegreen.sources.git import GitSource
from tests.sources.git_servers import TOKEN, Site, git_daemon, https_site, ssh_server
from tests.sources.repositories import Repository, cache, files_in, git, layout_in, source_of
from tests.sources.signers import ssh_signer
from tests.waiting import eventually

TREE = {"app.py": "two", "docs/readme": "read"}


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    return certificate


@pytest.fixture
async def site(repository: Repository, tmp_path: Path, trusted: Path) -> AsyncIterator[Site]:
    async with https_site(tmp_path, trusted, guarded=False) as serving:
        yield serving


def shop(tmp_path: Path, site: Site, **more: object) -> GitSource:
    return source_of(tmp_path, f"{site.url}/origin/.git", **more)  # type: ignore[arg-type]


def gits() -> list[bytes]:
    """The command line and the environment of each git that runs."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if b"git" in command:
                found.append(command + (process / "environ").read_bytes())
    return found


def files_that_hold(secret: str, directory: Path) -> list[Path]:
    return [
        path
        for path in directory.rglob("*")
        if path.is_file() and secret.encode() in path.read_bytes()
    ]


async def test_a_git_daemon_is_fetched_from(repository: Repository, tmp_path: Path) -> None:
    async with git_daemon(tmp_path) as address:
        source = source_of(tmp_path, f"{address}/origin")
        release = await source.resolve("v2")
        repository.commit({"app.py": "three"}, tag="v3")
        assert (await source.resolve("v3")).commit == repository.git("rev-parse", "v3")
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == TREE


async def test_a_deploy_key_is_used_for_a_host_that_is_known(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the user's own configuration says of ssh does not come into it.
    monkeypatch.setenv("GIT_SSH_COMMAND", "false")
    async with ssh_server(tmp_path) as ssh:
        address = f"{ssh.url}{repository.directory}"
        known = {"known_hosts": str(ssh.known_hosts), "ssh_key": {"file": str(ssh.key)}}
        source = source_of(tmp_path, address, **known)  # type: ignore[arg-type]
        await source.lay_out(await source.resolve("v2"), tmp_path / "tree")
        assert files_in(tmp_path / "tree") == TREE
        assert (await source.compare("v1", None)).release.commit is not None
        (tmp_path / "nobody").write_text("[127.0.0.1]:1 ssh-ed25519 AAAA\n")
        for change, words in (
            ({"ssh_key": {"file": str(ssh.other_key)}}, "Permission denied"),
            ({"known_hosts": str(tmp_path / "nobody")}, "Host key verification failed"),
            ({"ssh_key": {"file": "/nowhere/key"}}, "/nowhere/key, ssh_key of [source]"),
        ):
            refused = source_of(tmp_path / "other", address, **{**known, **change})  # type: ignore[arg-type]
            with pytest.raises(SourceError) as error:
                await refused.resolve("v2")
            assert words in "\n".join(error.value.lines())
            assert "user that runs the daemon" in error.value.remedy


async def test_a_token_is_sent_to_the_host_that_it_is_for_and_stands_nowhere(
    repository: Repository, tmp_path: Path, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    token = {"file": str(tmp_path / "token")}
    # A helper of the user's own, which knows something else and must not be told anything.
    told = tmp_path / "told"
    helper = f"!f() {{ cat >>{told}; echo username=x; echo password=y; }}; f"
    (tmp_path / "gitconfig").write_text(f'[credential]\n\thelper = "{helper}"\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    running: list[bytes] = []
    async with https_site(tmp_path, trusted, guarded=True) as site:
        site.backend.asked = lambda: running.extend(gits())
        source = shop(tmp_path, site, token=token)
        await source.lay_out(await source.resolve("v2"), tmp_path / "tree")
        assert files_in(tmp_path / "tree") == TREE
        assert [one for one in running if str(tmp_path / "token").encode() in one]
        assert not [one for one in running if TOKEN.encode() in one]
        assert (await source.compare("main", None)).release.commit is not None
        assert not told.exists()
        moved = source_of(tmp_path / "moved", f"{site.url}/moved/origin/.git", token=token)
        with pytest.raises(SourceError, match="could not be fetched"):
            await moved.resolve("v2")
        # nginx writes its log once it has answered.
        await eventually(
            lambda: any(line[0] == "localhost" for line in site.seen()), "the last is in the log"
        )
        seen = site.seen()
        assert [line for line in seen if line[0] == "127.0.0.1" and line[2] == "Basic"]
        assert {line[2] for line in seen if line[0] == "localhost"} == {"-"}
        assert not told.exists()
        for wrong, words in (("", "holds no token"), ("a b", "holds no token"),
                             ("wrong-t0ken", "Authentication failed")):  # fmt: skip
            (tmp_path / "token").write_text(wrong)
            with pytest.raises(SourceError) as error:
                await shop(tmp_path / "wrong", site, token=token).resolve("v2")
            text = "\n".join(error.value.lines())
            assert words in text
            assert "wrong-t0ken" not in text
    assert files_that_hold(TOKEN, layout_in(tmp_path).cache) == []
    assert files_that_hold(TOKEN, tmp_path / "tree") == []


async def test_an_answer_that_is_cut_off_or_ceases_is_an_error_and_leaves_nothing(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    (repository.directory / "data").write_bytes(os.urandom(300_000))
    repository.commit({}, tag="v3")
    site.backend.cut_after = 100_000
    for fault, words in (("", "exit status"), ("hangs", "timed out"), ("drips", "timed out")):
        site.backend.hangs, site.backend.drips = fault == "hangs", fault == "drips"
        with pytest.raises(SourceError, match=words):
            await shop(tmp_path, site, timeout=2.0 if fault else 30.0).resolve("v3")
        assert [path.name for path in cache(tmp_path).iterdir()] == ["git.lock"]
    site.backend.cut_after, site.backend.drips = None, False
    source = shop(tmp_path, site)
    first = await source.resolve("v3")
    (repository.directory / "data").write_bytes(os.urandom(300_000))
    repository.commit({}, tag="v4")
    site.backend.cut_after = 100_000
    with pytest.raises(SourceError, match="v4 could not be fetched"):
        await source.resolve("v4")
    site.backend.cut_after = None
    for version in ("v3", "v4"):
        release = await source.resolve(version)
        assert release.warnings == ()
        await source.lay_out(release, tmp_path / version)
    assert (await source.resolve("v3")).commit == first.commit
    assert not list((cache(tmp_path) / "git").rglob("tmp_*"))


async def test_a_server_that_gives_another_commit_than_it_names_is_believed_in_nothing(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    first, second = repository.git("rev-parse", "v1"), repository.git("rev-parse", "v2")
    repository.commit({"app.py": "three"}, tag="v3")
    third = repository.git("rev-parse", "v3")
    site.backend.wants = {third: first}
    with pytest.raises(SourceError, match="could not be fetched"):
        await shop(tmp_path, site).resolve("v3")
    # Of its mirror either.
    site.backend.wants = {}
    source = shop(tmp_path, site)
    assert (await source.resolve("v3")).commit == third
    repository.commit({"app.py": "four"}, tag="v4")
    site.backend.wants = {repository.git("rev-parse", "v4"): second}
    with pytest.raises(SourceError, match="v4 could not be fetched"):
        await source.resolve("v4")
    site.backend.wants = {}
    assert (await source.resolve("v4")).commit == repository.git("rev-parse", "v4")


async def test_names_that_are_none_are_passed_over(tmp_path: Path) -> None:
    names = [
        b"tags/v1\x1b[31m", b"tags/v1\xff", b"tags/v1\tx", b"heads/", b"tags/v1\x0bz", b"tags/v1",
        "tags/v1\u2028z".encode(), b"heads/a b", b"notes/v1", b"",
    ]  # fmt: skip

    async def advertise(asked: asyncio.StreamReader, answer: asyncio.StreamWriter) -> None:
        await asked.read(4096)
        for name in names:
            line = b"1" * 40 + b" refs/" + name + b"\0ofs-delta\n"
            answer.write(b"%04x" % (len(line) + 4) + line)
        answer.write(b"0000")
        await answer.drain()
        await asked.read()
        answer.close()

    async with await asyncio.start_server(advertise, "127.0.0.1", 0) as server:
        address = f"git://127.0.0.1:{server.sockets[0].getsockname()[1]}/shop"
        source = source_of(tmp_path, address, clone="shallow")
        assert (await source.compare("v1", None)).release.commit == "1" * 40
        for asked in (source.resolve("v2"), source.compare("v2", None)):
            with pytest.raises(SourceError) as unknown:
                await asked
            assert all(line.isprintable() for line in unknown.value.lines())
            assert "v1" in "\n".join(unknown.value.detail)


async def test_what_was_verified_is_what_runs_wherever_the_server_moves_its_tags(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    alice, public = ssh_signer(tmp_path, "alice")
    (tmp_path / "signers").write_text(f"alice@example.org {public}\n")
    alice.tag(repository, "v3", "v2")
    source = shop(tmp_path, site, verify={"ssh_signers": str(tmp_path / "signers")})
    release = await source.resolve("v3")
    repository.commit({"app.py": "evil"})
    repository.git("tag", "--force", "v3")
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == TREE
    with pytest.raises(SourceError, match="it is not signed"):
        await source.resolve("v3")
    assert (await source.resolve("v3", pinned=release.commit)).commit == release.commit


async def test_of_a_partial_mirror_only_the_files_of_what_is_deployed_are_fetched(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    repository.git("config", "uploadpack.allowFilter", "true")
    repository.commit({"app.py": "three", "more": "m"}, tag="v3")
    source = shop(tmp_path, site, clone="partial")
    mirror = cache(tmp_path) / "git"
    first = await source.resolve("v2")
    assert first.warnings == ()

    def missing() -> list[str]:
        listed = git(mirror, "rev-list", "--objects", "--all", "--missing=print")
        return sorted(line[1:] for line in listed.split("\n") if line.startswith("?"))

    assert missing() == sorted(
        repository.git("rev-parse", blob) for blob in ("v1:app.py", "v3:app.py", "v3:more")
    )
    found = await source.compare("v3", first.commit)
    assert (found.release.commit, found.added.count) == (repository.git("rev-parse", "v3"), 1)
    repository.commit({"app.py": "four"}, tag="v4")
    assert (await source.compare("v4", first.commit)).added.count == 2
    third = await source.resolve("v3")
    for version in ("main", "v4"):  # what is there by now is fetched upon what there was
        assert (await source.resolve(version)).commit == repository.git("rev-parse", "v4")
    # Without the server, each that was deployed is there, and no other.
    site.backend.root = tmp_path / "nowhere"
    for release, content in ((first, "two"), (third, "three")):
        await source.lay_out(release, tmp_path / content)
        assert (tmp_path / content / "app.py").read_text() == content
    assert (await source.resolve("v2", pinned=first.commit)).warnings == ()
    with pytest.raises(SourceError, match="v1 could not be fetched"):
        await source.resolve("v1")
    # A mirror that is to be full is no use as it is.
    site.backend.root = tmp_path
    assert (await shop(tmp_path, site).resolve("v1")).warnings == ()
    assert missing() == []


async def test_a_server_without_partial_clones_gives_all_of_it_and_that_is_said(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    source = shop(tmp_path, site, clone="partial")
    for version in ("v3", "v4"):
        repository.commit({}, tag=version)
        release = await source.resolve(version)
        assert "gives no partial clones: all of it was fetched" in release.warnings[0]
    await source.lay_out(release, tmp_path / "tree")
    assert files_in(tmp_path / "tree") == TREE


async def test_of_a_shallow_mirror_only_what_is_deployed_is_fetched(
    repository: Repository, tmp_path: Path, site: Site
) -> None:
    alice, public = ssh_signer(tmp_path, "alice")
    (tmp_path / "signers").write_text(f"alice@example.org {public}\n")
    verify = {"ssh_signers": str(tmp_path / "signers"), "tags_only": True}
    repository.commit({"app.py": "three"})
    alice.tag(repository, "v3", "HEAD")
    source, mirror = shop(tmp_path, site, clone="shallow"), cache(tmp_path) / "git"

    def commits() -> set[str]:
        return set(git(mirror, "rev-list", "--all").split())

    first = await source.resolve("v2")
    assert (first.commit, first.warnings) == (repository.git("rev-parse", "v2"), ())
    assert commits() == {first.commit}
    # A plan fetches nothing, and says why it knows no commits.
    planned = await source.compare("v3", first.commit)
    assert planned.release.commit == repository.git("rev-parse", "v3^{}")
    assert (planned.added.count, "the commits between two" in str(planned.unknown)) == (0, True)
    signed = shop(tmp_path, site, clone="shallow", verify=verify)
    third = await signed.resolve("v3")
    assert commits() == {first.commit, third.commit}
    # A branch that has moved on by more than one commit, and what it was before.
    at = [(await source.resolve("main")).commit]
    for content in ("four", "five"):
        repository.commit({"app.py": content})
    moved = await source.resolve("main")
    assert commits() == {first.commit, *at, moved.commit}
    with pytest.raises(SourceError, match="no tag, branch or commit v9") as unknown:
        await source.resolve("v9")
    assert "v3" in unknown.value.detail[0]
    skipped = repository.git("rev-parse", "main~1")
    with pytest.raises(SourceError, match="no tag, branch or commit") as short:
        await source.resolve(skipped[:9])
    assert "all digits, as the mirror is shallow" in short.value.remedy
    assert (await source.resolve(skipped)).commit == skipped
    with pytest.raises(SourceError, match="no tag, branch or commit aaaa"):
        await source.resolve("a" * 40)
    # What has been fetched needs no server; nor does a way back, verified like a deploy.
    site.backend.root = tmp_path / "nowhere"
    for release, content in ((first, "two"), (third, "three"), (moved, "five")):
        await source.lay_out(release, tmp_path / content)
        assert (tmp_path / content / "app.py").read_text() == content
    assert (await signed.resolve("v3", pinned=third.commit)).signed_by is not None
    assert "used as cached" in (await source.resolve("v2")).warnings[0]
    # A mirror that is to have all of it is made anew; one that has all of it stays.
    site.backend.root = tmp_path
    for clone in ("full", "shallow"):
        assert (await shop(tmp_path, site, clone=clone).resolve("v1")).warnings == ()
        assert len(commits()) == int(repository.git("rev-list", "--count", "main"))


async def test_what_is_brought_back_into_a_new_shallow_mirror_is_fetched_by_its_tag(
    repository: Repository, tmp_path: Path
) -> None:
    alice, public = ssh_signer(tmp_path, "alice")
    (tmp_path / "signers").write_text(f"alice@example.org {public}\n")
    verify = {"ssh_signers": str(tmp_path / "signers"), "tags_only": True}
    alice.tag(repository, "v3", "v1")
    pinned = repository.git("rev-parse", "v1")
    async with git_daemon(tmp_path) as address:
        source = source_of(tmp_path, f"{address}/origin", clone="shallow", verify=verify)
        release = await source.resolve("v3", pinned=pinned)
        repository.git("tag", "--delete", "v3")
        with pytest.raises(SourceError, match="v3"):
            await source.resolve("v3")
    assert (release.commit, release.signed_by is not None) == (pinned, True)
    assert (await source.resolve("v3", pinned=pinned)).commit == pinned
