"""A running daemon with the sample app."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.operations.queued import QueuedDesk, opened
from tests.operations.told import run
from tests.stack import Stack, stack

__all__ = ["run"]  # of those who perform told phases


@pytest.fixture
async def empty() -> AsyncIterator[Stack]:
    """A root without an app and without a daemon."""
    async with stack() as built:
        yield built


@pytest.fixture
async def served(empty: Stack) -> Stack:
    """Most services of the sample app, never deployed, and its daemon."""
    empty.services = ("web", "api", "terminal")  # what visitors ask
    empty.write_app(watch="0.3s")
    await empty.serve()
    return empty


@pytest.fixture
async def deployed(served: Stack) -> Stack:
    """The sample app with v1 serving."""
    await served.deploy("v1")
    return served


@pytest.fixture
async def queued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[QueuedDesk]:
    """A desk whose deploys a test holds up."""
    desk = await opened(tmp_path, monkeypatch)
    yield desk
    await desk.desk.close()
    await desk.store.close()
