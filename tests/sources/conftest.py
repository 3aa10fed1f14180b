"""Repositories that tests fetch from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sources.repositories import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "origin")
    made.commit({"app.py": "one"}, tag="v1")
    made.commit({"app.py": "two", "docs/readme": "read"}, tag="v2")
    return made
