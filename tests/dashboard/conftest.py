from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.api.door import Door, open_door
from tests.api.front import nginx_in_front
from tests.dashboard.browser import chromium


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def door() -> AsyncIterator[Door]:
    """One daemon for all that is done to its pages."""
    async with open_door() as built:
        yield built


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def url(door: Door, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    directory: Path = tmp_path_factory.mktemp("front")
    async with nginx_in_front(door, directory) as found:
        yield found


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found
