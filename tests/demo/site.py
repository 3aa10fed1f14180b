"""A small honest app to send a load to, and the loads that are sent."""

from __future__ import annotations

from aiohttp import WSMsgType, web

from bluegreen.demo.load_settings import LoadSettings


class Site:
    """A small honest app whose slot and version can be changed while it serves."""

    def __init__(self) -> None:
        self.slot, self.version = "blue", "v1"
        self.hosts: set[str] = set()
        self.sockets: set[web.WebSocketResponse] = set()
        self.missing_bytes = 0
        self.echoes = True

    async def echo(self, request: web.Request) -> web.Response:
        self.hosts.add(request.headers["Host"])
        await request.json()
        return web.json_response({"slot": self.slot, "version": self.version, "n": 1})

    async def terminal(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.add(socket)
        await socket.send_str("welcome")
        async for message in socket:
            if message.type is WSMsgType.TEXT and self.echoes:
                await socket.send_str(message.data)
        return socket

    async def download(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        size = int(request.query["size"]) - self.missing_bytes
        for start in range(0, size, 1000):
            await response.write(b"x" * min(1000, size - start))
        return response


def posts(url: str, connections: int = 1) -> LoadSettings:
    return LoadSettings(url=url, connections=connections, websockets=0, downloads=0)


def small(url: str) -> LoadSettings:
    return LoadSettings(
        url=url,
        connections=4,
        websockets=3,
        downloads=2,
        message_interval=0.01,
        download_bytes=25_500,
    )
