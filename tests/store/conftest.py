"""A store on a real file, and shorthand for the operations that tests record in it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bluegreen.model import Event
from bluegreen.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "bluegreen.db"


@pytest.fixture
def told() -> list[Event]:
    """The events that the store told its listener of."""
    return []


@pytest.fixture
async def store(path: Path, told: list[Event]) -> AsyncIterator[Store]:
    opened = await Store.open(path, events=told.append)
    yield opened
    await opened.close()
