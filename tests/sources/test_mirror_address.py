"""A mirror is of one address, and of no use for another."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from tests.sources.repositories import Repository, source_of


class KilledError(Exception):
    """The daemon was killed."""


async def test_a_mirror_of_another_address_stands_in_for_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    first = str(repository.directory)
    await source_of(tmp_path, first).resolve("v1")
    with pytest.raises(SourceError, match="could not be fetched"):
        await source_of(tmp_path, str(tmp_path / "gone")).resolve("v1")


async def test_a_version_that_was_deployed_from_another_address_is_not_said_to_need_no_remote(
    repository: Repository, tmp_path: Path
) -> None:
    await source_of(tmp_path, str(repository.directory)).resolve("v1")
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
    moved = source_of(tmp_path, f"git://127.0.0.1:{port}/shop.git")
    asked: list[Callable[[], Awaitable[object]]] = [
        lambda: moved.compare("v1", None),  # of a plan, which puts nothing aside
        lambda: moved.resolve("v1"),
        lambda: moved.resolve("v1"),
    ]
    for ask in asked:
        with pytest.raises(SourceError, match="could not be fetched") as refused:
            await ask()
        assert f"what was fetched from {repository.directory} does not" in refused.value.detail[-1]
        assert "needs no remote" not in refused.value.remedy
        assert "[source]" in refused.value.remedy


async def test_a_mirror_that_was_put_aside_is_of_use_when_its_address_is_back(
    repository: Repository, tmp_path: Path
) -> None:
    other = Repository(tmp_path / "other")
    commit = other.commit({"app.py": "of another"}, tag="v1")
    before = await source_of(tmp_path, str(repository.directory)).resolve("v1")
    assert (await source_of(tmp_path, str(other.directory)).resolve("v1")).commit == commit
    shutil.move(repository.directory, tmp_path / "moved")
    again = await source_of(tmp_path, str(repository.directory)).resolve("v1")
    assert again.commit == before.commit
    assert "used as cached" in again.warnings[0]
    shutil.move(other.directory, tmp_path / "moved too")
    assert (await source_of(tmp_path, str(other.directory)).resolve("v1")).commit == commit


async def test_a_mirror_is_of_use_when_its_address_is_back_though_the_other_was_never_fetched(
    repository: Repository, tmp_path: Path
) -> None:
    before = await source_of(tmp_path, str(repository.directory)).resolve("v1")
    for _ in range(2):
        with pytest.raises(SourceError, match="could not be fetched"):
            await source_of(tmp_path, str(tmp_path / "nowhere")).resolve("v1")
    shutil.move(repository.directory, tmp_path / "moved")
    again = await source_of(tmp_path, str(repository.directory)).resolve("v1")
    assert again.commit == before.commit


@pytest.mark.parametrize("renames", [0, 1, 2])
async def test_mirrors_that_were_being_exchanged_when_the_daemon_was_killed_are_kept(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    other = Repository(tmp_path / "other")
    commits = {str(other.directory): other.commit({"app.py": "of another"}, tag="v1")}
    for address in (str(repository.directory), str(other.directory)):
        commits[address] = (await source_of(tmp_path, address).resolve("v1")).commit or ""
    rename, left = os.rename, renames

    def rename_until_killed(origin: Path, target: Path) -> None:
        nonlocal left
        if left == 0:
            raise KilledError
        left -= 1
        rename(origin, target)

    monkeypatch.setattr(os, "rename", rename_until_killed)
    with pytest.raises(KilledError):
        await source_of(tmp_path, str(repository.directory)).resolve("v1")
    monkeypatch.undo()
    shutil.move(repository.directory, tmp_path / "moved")
    shutil.move(other.directory, tmp_path / "moved too")
    for address, commit in commits.items():
        found = await source_of(tmp_path, address).resolve("v1")
        assert found.commit == commit
        assert "used as cached" in found.warnings[0]
