"""The ``stream`` service: a WebSocket with the host's metrics now and then."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import WSCloseCode, WSMsgType, web

from .release import Fault, Release
from .serving import RELEASE, answer_health, run
from .sockets import SOCKETS, accepted, prepare

METRICS_EVERY = 2.0  # seconds


async def _send_metrics(request: web.Request, socket: web.WebSocketResponse) -> None:
    while not socket.closed:
        load = os.getloadavg()[0]
        metrics = {"type": "metrics", "at": time.time(), "load": load}
        connections = {"connections": len(request.app[SOCKETS])}
        await socket.send_json(metrics | connections | request.app[RELEASE].stamp)
        await asyncio.sleep(METRICS_EVERY)


@asynccontextmanager
async def _metrics(request: web.Request, socket: web.WebSocketResponse) -> AsyncIterator[None]:
    task = asyncio.create_task(_send_metrics(request, socket), name="metrics")
    try:
        yield
    finally:
        task.cancel()
        # A client that has gone away in the middle of a message is no news.
        with contextlib.suppress(asyncio.CancelledError, ConnectionError):
            await task


async def _monitoring(request: web.Request) -> web.WebSocketResponse:
    release = request.app[RELEASE]
    async with accepted(request) as socket:
        if release.fault is Fault.WS_CLOSES:
            await socket.close(code=WSCloseCode.INTERNAL_ERROR, message=b"no metrics")
            return socket
        async with _metrics(request, socket):
            async for message in socket:
                if message.type is WSMsgType.TEXT and message.data.startswith("ping"):
                    text = message.data.removeprefix("ping").strip()
                    await socket.send_json({"type": "pong", "text": text} | release.stamp)
    return socket


def build(release: Release) -> web.Application:
    application = web.Application()
    prepare(application)
    application.router.add_get("/health", answer_health)
    application.router.add_get("/ws/monitoring", _monitoring)
    return application


if __name__ == "__main__":
    run("stream", build, port_variable="STREAM_PORT", port=9085)
