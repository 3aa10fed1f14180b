"""A host with something to tell, and a receiver to tell it to."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.notifications.listening import Host, Listener, listening


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    async with listening() as found:
        yield found


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    opened = await Host.open(tmp_path)
    yield opened
    await opened.close()
