"""The figures for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection

from aiohttp import web

from bluegreen.api.context import Api
from bluegreen.api.peer import caller_of

_Page = Callable[[Api, str, Collection[str] | None], Awaitable[tuple[bytes, str]]]


async def metrics(api: Api, request: web.Request) -> web.Response:
    """Of the apps that are whoever asks' to see, and of the host where they all are."""
    page = await asyncio.to_thread(_page)
    body, media_type = await page(api, request.headers.get("Accept", ""), caller_of(request).apps)
    return web.Response(body=body, headers={"Content-Type": media_type})


def _page() -> _Page:
    """Imported with the first page, beside the loop: it takes a tenth of a second."""
    from bluegreen.api.metrics.page import page

    return page
