"""A mirror is of one address, and of no use for another."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bluegreen.errors import SourceError
from tests.sources.repositories import Repository, source_of


async def test_a_mirror_of_another_address_stands_in_for_nothing(
    repository: Repository, tmp_path: Path
) -> None:
    first = str(repository.directory)
    await source_of(tmp_path, first).resolve("v1")
    with pytest.raises(SourceError, match="could not be fetched"):
        await source_of(tmp_path, str(tmp_path / "gone")).resolve("v1")


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
