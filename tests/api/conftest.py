"""An app of one service that serves v1, and a client of the daemon's control socket."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.stack import Stack, stack


@pytest.fixture
async def deployed() -> AsyncIterator[Stack]:
    """The API of the sample app, with v1 serving."""
    async with stack() as built:
        built.write_app(services=("api",))
        await built.serve()
        await built.deploy("v1")
        yield built


@pytest.fixture
async def client(deployed: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP over the control socket of ``deployed``."""
    connector = aiohttp.UnixConnector(str(deployed.layout.control_socket))
    async with aiohttp.ClientSession("http://bluegreen", connector=connector) as session:
        yield session
