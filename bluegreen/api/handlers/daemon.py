"""The daemon itself."""

from __future__ import annotations

import asyncio

from aiohttp import web

from bluegreen import __version__
from bluegreen.api.bodies import ReloadBody
from bluegreen.api.context import Api
from bluegreen.api.documents.daemon import Alive, Reloaded
from bluegreen.api.openapi import as_text
from bluegreen.api.peer import note_look
from bluegreen.api.route import IN_TABLE


async def health(api: Api, _: web.Request) -> web.Response:
    await api.desk.parts.store.integrity()
    alive: Alive = {"status": "ok", "version": __version__}
    return web.json_response(alive)


async def reload(api: Api, request: web.Request, body: ReloadBody) -> web.Response:
    if body.check:
        note_look(request)
    found = await api.reload(body.check)
    reloaded: Reloaded = {
        "added": found["added"], "removed": found["removed"], "changed": found["changed"],
        "at_next_start": found["at_next_start"],
    }  # fmt: skip
    return web.json_response(reloaded)


async def openapi(_: Api, request: web.Request) -> web.Response:
    table = (*request.app[IN_TABLE].values(),)
    return web.json_response(text=await asyncio.to_thread(as_text, table))
