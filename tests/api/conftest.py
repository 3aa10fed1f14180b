"""The fixtures of the operations' tests, and a client of the control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.operations.conftest import deployed, empty, served
from tests.stack import Stack

__all__ = ["client", "deployed", "empty", "served"]


@pytest.fixture
async def client(deployed: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP over the control socket of ``deployed``."""
    connector = aiohttp.UnixConnector(str(deployed.layout.control_socket))
    async with aiohttp.ClientSession("http://bluegreen", connector=connector) as session:
        yield session
