"""What a visitor of an app gets through its nginx."""

from __future__ import annotations

from typing import Any

import aiohttp

from tests.stack import Stack
from tests.waiting import PATIENCE


async def visit(stack: Stack, path: str = "/api/health", app: str = "monitor") -> tuple[int, str]:
    """Status and body of one request, without following redirects."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
        session.get(stack.url(app) + path, allow_redirects=False) as response,
    ):
        return response.status, await response.text()


async def served_version(stack: Stack, app: str = "monitor") -> Any:
    """The version that the app's API says it is."""
    async with (
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
        session.get(stack.url(app) + "/api/health") as response,
    ):
        return (await response.json())["version"]
