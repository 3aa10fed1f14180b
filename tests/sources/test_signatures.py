"""Releases from git that have to be signed: what is refused, and that nothing of it is touched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from bluegreen.sources.git import GitSource
from tests.sources.repositories import Repository, cache, files_in, source_of
from tests.sources.signers import GpgHome, Signer, gpg_home, ssh_signer


@dataclass(frozen=True, kw_only=True)
class Keys:
    """Of Alice, who may sign, and of Mallory, who may not."""

    directory: Path
    alice: Signer
    mallory: Signer
    gpg: GpgHome
    bob: Signer  # signs by GPG
    bob_key: str

    @property
    def signers(self) -> str:
        return str(self.directory / "signers")

    @property
    def allowed(self) -> str:
        return (self.directory / "signers").read_text()

    @property
    def gpg_keys(self) -> str:
        return str(self.directory / "keys.asc")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keys]:
    directory = tmp_path_factory.mktemp("keys")
    alice, public = ssh_signer(directory, "alice")
    mallory, _ = ssh_signer(directory, "mallory")
    (directory / "signers").write_text(f'alice@example.org namespaces="git" {public}\n')
    (directory / "expired").write_text(f'alice@example.org valid-before="20200101" {public}\n')
    (directory / "empty").touch()
    with gpg_home() as gpg:
        bob, key = gpg.make("Bob <bob@example.org>")
        (directory / "keys.asc").write_text(gpg.public(key))
        yield Keys(directory=directory, alice=alice, mallory=mallory, gpg=gpg, bob=bob, bob_key=key)


def signed_source(root: Path, repository: Repository, **verify: object) -> GitSource:
    return source_of(root, str(repository.directory), verify=verify)


async def refused(source: GitSource, version: str, *, pinned: str | None = None) -> str:
    """What the operator is told."""
    with pytest.raises(SourceError) as error:
        await source.resolve(version, pinned=pinned)
    assert error.value.remedy
    return error.value.message


async def test_a_signed_tag_and_a_signed_commit_are_taken_and_their_signer_is_named(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    keys.alice.tag(repository, "v3", "v2")
    commit = keys.alice.commit(repository)
    source = signed_source(tmp_path, repository, ssh_signers=keys.signers)
    for version in ("v3", "main", commit, commit[:10]):
        release = await source.resolve(version)
        assert (release.signed_by or "").startswith("alice@example.org (ED25519 key SHA256:")
    await source.lay_out(await source.resolve("v3"), tmp_path / "tree")
    assert files_in(tmp_path / "tree")["app.py"] == "two"


async def test_what_killed_verifications_left_is_removed_by_the_next(
    repository: Repository, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    old, fresh = tmp_path / "bluegreen-gpg-old", tmp_path / "bluegreen-gpg-fresh"
    for home in (old, fresh):
        home.mkdir()
        (home / "gpg.conf").touch()
    os.utime(old, (0, 0))
    keys.alice.tag(repository, "v3", "v2")
    await signed_source(tmp_path, repository, ssh_signers=keys.signers).resolve("v3")
    left = [name for name in os.listdir(tmp_path) if name.startswith("bluegreen-gpg-")]
    assert left == [fresh.name]


async def test_what_is_signed_by_nobody_who_may_is_refused_and_nothing_of_it_is_touched(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    inner = Repository(tmp_path / "inner")
    inner.commit({"inner.txt": "x"})
    repository.git("submodule", "--quiet", "add", "../inner", "lib")
    repository.commit({}, tag="v3")
    repository.git("tag", "-a", "-m", "a release", "v4")
    keys.mallory.tag(repository, "v5")
    old = keys.alice.tag(repository, "v6", "v1")
    repository.git("update-ref", "refs/tags/v7", old)
    forged = repository.git("cat-file", "tag", old).replace("tag v6\n", "tag v8\n")
    text = repository.git("hash-object", "-t", "tag", "-w", "--stdin", text=f"{forged}\n")
    repository.git("update-ref", "refs/tags/v8", text)
    keys.alice.tag(repository, "v9", "v6")
    keys.bob.tag(repository, "v10")
    source = signed_source(tmp_path, repository, ssh_signers=keys.signers)
    for version, why in (
        ("v3", "it is not signed"),
        ("v4", "it is not signed"),
        ("main", "it is not signed"),
        ("v5", f"is not one of {keys.signers}"),
        ("v7", "it was signed as v6: one release for another"),
        ("v8", "not of what it is on"),
        ("v9", "it is of a tag and not of a commit"),
        ("v10", "a key of another kind: GPG"),
    ):
        assert why in await refused(source, version), version
    # No submodule was asked for, and nothing was checked out.
    assert sorted(path.name for path in cache(tmp_path).iterdir()) == [
        "git", "git.config", "git.lock",
    ]  # fmt: skip


async def test_keys_that_have_expired_or_cannot_be_read_verify_nothing(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    keys.alice.tag(repository, "v3")
    for file, why in (
        ("expired", "was not valid then"),
        ("empty", "holds no keys that can be used: it is empty"),
        ("nothing", "cannot be read: No such file"),
    ):
        source = signed_source(tmp_path, repository, ssh_signers=str(keys.directory / file))
        assert why in await refused(source, "v3")


async def test_gpg_keys_verify_tags_and_commits_by_a_keyring_of_their_own(
    repository: Repository, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The keyring of the user that runs the daemon, which knows everybody, is not asked.
    monkeypatch.setenv("GNUPGHOME", str(keys.gpg.directory))
    scratch = keys.gpg.directory / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    eve, eve_key = keys.gpg.make("Eve <eve@example.org>")
    keys.bob.tag(repository, "v3")
    eve.tag(repository, "v4")
    keys.alice.tag(repository, "v5")
    keys.bob.commit(repository)
    source = signed_source(tmp_path, repository, gpg_keys=keys.gpg_keys)
    for version in ("v3", "main"):
        signer = (await source.resolve(version)).signed_by
        assert signer == f"Bob <bob@example.org> (GPG key {keys.bob_key})"
    assert f"not one of {keys.gpg_keys}: {eve_key[-16:]}" in await refused(source, "v4")
    assert "another kind: SSH" in await refused(source, "v5")
    both = signed_source(tmp_path, repository, gpg_keys=keys.gpg_keys, ssh_signers=keys.signers)
    assert [bool((await both.resolve(one)).signed_by) for one in ("v3", "v5")] == [True, True]
    keys.gpg.let_expire(eve_key)
    (tmp_path / "eve.asc").write_text(keys.gpg.public(eve_key))
    expired = signed_source(tmp_path, repository, gpg_keys=str(tmp_path / "eve.asc"))
    assert "the key has expired: " in await refused(expired, "v4")
    (tmp_path / "none.asc").write_text("no keys at all")
    none = signed_source(tmp_path, repository, gpg_keys=str(tmp_path / "none.asc"))
    assert "holds no keys that can be used" in await refused(none, "v3")
    assert os.listdir(scratch) == []


async def test_only_a_signed_tag_does_where_the_app_file_says_so(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    keys.alice.commit(repository)
    repository.git("tag", "v3")
    keys.alice.tag(repository, "v4")
    source = signed_source(tmp_path, repository, ssh_signers=keys.signers, tags_only=True)
    assert (await source.resolve("v4")).signed_by
    for version in ("v3", "main"):
        assert "no signed tag of that name" in await refused(source, version)


async def test_a_way_back_is_verified_like_a_deploy(
    repository: Repository, tmp_path: Path, keys: Keys
) -> None:
    signers = tmp_path / "signers"
    signers.write_text(keys.allowed)
    keys.alice.tag(repository, "v3")
    source = signed_source(tmp_path, repository, ssh_signers=str(signers))
    first = (await source.resolve("v3")).commit
    assert first is not None
    repository.commit({"app.py": "three"})
    keys.alice.tag(repository, "v3", "HEAD", "--force")
    assert (await source.resolve("v3")).commit != first
    # The server has another v3 by now, and then is gone.
    assert (await source.resolve("v3", pinned=first)).commit == first
    repository.directory.rename(tmp_path / "gone")
    assert (await source.resolve("v3", pinned=first)).commit == first
    assert "it is not signed" in await refused(source, "v4", pinned=first)
    signers.write_text(f"mallory@example.org {(keys.directory / 'mallory.pub').read_text()}")
    assert "is not one of" in await refused(source, "v3", pinned=first)


async def test_neither_the_repositorys_settings_nor_the_users_have_a_say(
    repository: Repository, tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran = tmp_path / "ran"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {ran}\nexit 0\n")
    program.chmod(0o755)
    (tmp_path / "everybody").write_text(f"* {(keys.directory / 'mallory.pub').read_text()}")
    settings = (
        f"[gpg]\n\tprogram = {program}\n\tformat = ssh\n"
        f'[gpg "ssh"]\n\tprogram = {program}\n\tallowedSignersFile = {tmp_path}/everybody\n'
    )
    (tmp_path / "gitconfig").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    repository.commit({".gitattributes": "* filter=x\n"})
    keys.mallory.tag(repository, "v3")
    good, bad = keys.alice.tag(repository, "v4"), repository.git("rev-parse", "v3")
    repository.git("update-ref", f"refs/replace/{bad}", good)
    with (repository.directory / ".git/config").open("a") as config:
        config.write(f'{settings}[filter "x"]\n\tsmudge = {program}\n\tclean = cat\n')
    for name in ("reference-transaction", "post-checkout"):
        hook = repository.directory / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(program.read_text())
        hook.chmod(0o755)
    source = signed_source(tmp_path, repository, ssh_signers=keys.signers)
    assert "is not one of" in await refused(source, "v3")
    await source.lay_out(await source.resolve("v4"), tmp_path / "tree")
    assert files_in(tmp_path / "tree")["app.py"] == "two"
    assert not ran.exists()


async def test_a_tag_or_branch_that_is_called_like_a_commit_does_not_stand_in_for_it(
    repository: Repository, tmp_path: Path
) -> None:
    first, second = repository.git("rev-parse", "v1"), repository.git("rev-parse", "v2")
    for namespace in ("tags", "heads"):
        repository.git("update-ref", f"refs/{namespace}/{first}", second)
    source = source_of(tmp_path, str(repository.directory))
    assert (await source.resolve(first)).commit == first
    assert (await source.resolve("v1", pinned=first)).commit == first
