from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.api.serving import control_client, serving_v1
from tests.stack import Stack


@pytest.fixture
async def deployed() -> AsyncIterator[Stack]:
    """The API of the sample app, with v1 serving."""
    async with serving_v1() as built:
        yield built


@pytest.fixture
async def client(deployed: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP over the control socket of ``deployed``."""
    async with control_client(deployed) as session:
        yield session
