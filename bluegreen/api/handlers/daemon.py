"""The daemon itself."""

from __future__ import annotations

from aiohttp import web

from bluegreen import __version__
from bluegreen.api.bodies import ReloadBody
from bluegreen.api.context import Api
from bluegreen.api.peer import note_look


async def health(api: Api, _: web.Request) -> web.Response:
    await api.desk.parts.store.integrity()
    return web.json_response({"status": "ok", "version": __version__})


async def reload(api: Api, request: web.Request, body: ReloadBody) -> web.Response:
    if body.check:
        note_look(request)
    return web.json_response(await api.reload(body.check))
