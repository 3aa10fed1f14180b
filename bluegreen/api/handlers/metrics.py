"""The figures for Prometheus."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.context import Api
from bluegreen.api.peer import caller_of


async def metrics(api: Api, request: web.Request) -> web.Response:
    """Of the apps that are whoever asks' to see, and of the host where they all are."""
    # Imported with the first page: of a daemon that nobody collects from, it is no part.
    from bluegreen.api.metrics.page import page

    body, media_type = await page(api, request.headers.get("Accept", ""), caller_of(request).apps)
    return web.Response(body=body, headers={"Content-Type": media_type})
