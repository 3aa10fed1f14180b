"""The ``terminal`` service: a WebSocket that runs ``df -h``, and echoes all else."""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE

from aiohttp import WSMsgType, web

from .release import Release
from .serving import answer_health, run
from .sockets import accepted, prepare

LIMIT = 5.0  # seconds


async def _disks() -> str:
    process = await asyncio.create_subprocess_exec(
        "df", "-h", stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=os.environ | {"LC_ALL": "C"}
    )
    try:
        out, _ = await asyncio.wait_for(process.communicate(), LIMIT)
    except TimeoutError:
        process.kill()
        await process.wait()
        return "df: timed out"
    return out.decode(errors="replace")


async def _terminal(request: web.Request) -> web.WebSocketResponse:
    async with accepted(request) as socket:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                text = message.data
                await socket.send_str(await _disks() if text == "df -h" else text)
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
