"""Fixtures of the load's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from tests.demo.site import Site


@pytest.fixture
async def site() -> AsyncIterator[tuple[Site, str]]:
    site = Site()
    app = web.Application()
    app.router.add_post("/api/echo", site.echo)
    app.router.add_get("/ws/terminal", site.terminal)
    app.router.add_get("/download", site.download)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    yield site, f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()
