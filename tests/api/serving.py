"""An app of one service that serves v1, and a client of the daemon's control socket."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import aiohttp

from tests.stack import Stack, stack


@contextlib.asynccontextmanager
async def serving_v1() -> AsyncIterator[Stack]:
    """The API of the sample app, with v1 serving."""
    async with stack() as built:
        built.write_app(services=("api",), watch="0.3s")
        await built.serve()
        await built.deploy("v1")
        yield built


@contextlib.asynccontextmanager
async def control_client(stack: Stack) -> AsyncIterator[aiohttp.ClientSession]:
    """HTTP over the control socket."""
    connector = aiohttp.UnixConnector(str(stack.layout.control_socket))
    async with aiohttp.ClientSession("http://bluegreen", connector=connector) as session:
        yield session
