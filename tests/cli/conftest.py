"""Where the tests of ``bluegreen init`` run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.shop import Place


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    directory = tmp_path / "shop"
    directory.mkdir()
    monkeypatch.chdir(directory)
    return Place(directory, tmp_path / "root")
