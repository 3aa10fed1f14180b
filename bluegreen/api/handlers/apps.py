"""Apps as they are, what a deploy would do to one, and its locks."""

from __future__ import annotations

import time

from aiohttp import web

from bluegreen.api.bodies import Empty, LockBody
from bluegreen.api.checkups import Checkups
from bluegreen.api.context import Api
from bluegreen.api.peer import requester
from bluegreen.api.plan import plan_view
from bluegreen.api.status import app_status, daemon_status
from bluegreen.model import AppLock
from bluegreen.operations import planning


def _checkups(api: Api, request: web.Request) -> Checkups | None:
    return api.checkups if request.query.get("probe") == "1" else None


async def apps(api: Api, request: web.Request) -> web.Response:
    found = await daemon_status(api.desk, api.in_force(), _checkups(api, request))
    return web.json_response(found)


async def app(api: Api, request: web.Request) -> web.Response:
    return web.json_response(await app_status(api.desk, api.app(request), _checkups(api, request)))


async def plan(api: Api, request: web.Request) -> web.Response:
    app, version = api.app(request), request.query.get("version", "")
    return web.json_response(plan_view(await planning.plan(api.desk, app, version)))


async def lock(api: Api, request: web.Request, body: LockBody) -> web.Response:
    by = (await requester(request)).name
    lock = AppLock(app=api.name(request), reason=body.reason, by=by, at=time.time())
    await api.desk.set_lock(lock)
    return web.json_response({"app": lock.app, "reason": lock.reason, "by": lock.by})


async def resume(api: Api, request: web.Request, _: Empty) -> web.Response:
    app = api.name(request)
    await api.desk.resume(app)
    return web.json_response({"app": app})


async def unlock(api: Api, request: web.Request, _: Empty) -> web.Response:
    app = api.name(request)
    await api.desk.clear_lock(app)
    return web.json_response({"app": app})
