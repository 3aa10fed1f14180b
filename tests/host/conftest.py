from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.host import lab


@pytest_asyncio.fixture
async def host() -> AsyncIterator[lab.Host]:
    """A booted host. Skipped, with the reason, where none can be booted."""
    if (why := lab.obstacle()) is not None:
        pytest.skip(why)
    async with lab.host() as built:
        yield built
