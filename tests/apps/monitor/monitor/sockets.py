"""WebSockets: accepted from the site's own pages only, closed with 1001 when the service ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from aiohttp import WSCloseCode, web

CLOSE_WAIT = 2.0  # seconds that a client is given to confirm a close

SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])


@asynccontextmanager
async def accepted(request: web.Request) -> AsyncIterator[web.WebSocketResponse]:
    """The WebSocket of ``request``. Raises HTTPForbidden when a foreign page opens it."""
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.host:
        raise web.HTTPForbidden(text=f"{origin} is not {request.host}\n")
    socket = web.WebSocketResponse(timeout=CLOSE_WAIT)
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    try:
        yield socket
    finally:
        request.app[SOCKETS].discard(socket)


async def _close_all(application: web.Application) -> None:
    # A copy: each leaves the set as it closes.
    closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in application[SOCKETS]]
    await asyncio.gather(*closing)


def prepare(application: web.Application) -> None:
    """Make ``application`` remember its WebSockets and close them when it ends."""
    application[SOCKETS] = set()
    application.on_shutdown.append(_close_all)
