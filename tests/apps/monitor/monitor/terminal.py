"""The ``terminal`` service: a WebSocket that echoes, as a shell would."""

from __future__ import annotations

from aiohttp import WSMsgType, web

from .release import Release
from .serving import answer_health, run
from .sockets import accepted, prepare


async def _terminal(request: web.Request) -> web.WebSocketResponse:
    async with accepted(request) as socket:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_str(message.data)
            elif message.type is WSMsgType.BINARY:
                await socket.send_bytes(message.data)
    return socket


def build(release: Release) -> web.Application:
    application = web.Application()
    prepare(application)
    application.router.add_get("/health", answer_health)
    application.router.add_get("/ws/terminal", _terminal)
    return application


if __name__ == "__main__":
    run("terminal", build, port_variable="TERMINAL_PORT", port=9084)
