from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.api.door import Door, open_door


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def door() -> AsyncIterator[Door]:
    """One daemon for all that is done to its pages."""
    async with open_door() as built:
        yield built
