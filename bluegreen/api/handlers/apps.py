"""Apps as they are, what a deploy would do to one, and its locks."""

from __future__ import annotations

import time

from aiohttp import web

from bluegreen.api.bodies import Empty, LockBody, PlanBody
from bluegreen.api.checkups import Checkups
from bluegreen.api.context import Api
from bluegreen.api.documents.apps import Locked, Unlocked
from bluegreen.api.documents.queue import Resumed
from bluegreen.api.peer import caller_of, note_about, requester
from bluegreen.api.plan import plan_view
from bluegreen.api.queries import PlanQuery, ProbeQuery
from bluegreen.api.route import JSON
from bluegreen.api.status import app_status, apps_status, findings_view
from bluegreen.model import AppLock
from bluegreen.operations import planning


def _checkups(api: Api, query: ProbeQuery) -> Checkups | None:
    return api.checkups if query.probe == "1" else None


async def apps(api: Api, request: web.Request, query: ProbeQuery) -> web.Response:
    """Those that are whoever asks' to see; what is said of the host names others."""
    only, checkups = caller_of(request).apps, _checkups(api, query)
    findings = findings_view(api.in_force(), only)
    if only is None:
        findings["failed_authentications"] = api.attempts.failed
    if checkups is None:
        text = await api.overview.text(api.desk, only, findings)
        return web.Response(text=text, content_type=JSON)
    found = await apps_status(api.desk, checkups, only)
    return web.json_response({"apps": found, **findings})


async def app(api: Api, request: web.Request, query: ProbeQuery) -> web.Response:
    return web.json_response(await app_status(api.desk, api.app(request), _checkups(api, query)))


async def plan(api: Api, request: web.Request, query: PlanQuery) -> web.Response:
    found = await planning.plan(api.desk, api.app(request), query.version)
    return web.json_response(plan_view(found))


async def plan_and_build(api: Api, request: web.Request, body: PlanBody) -> web.Response:
    found = await planning.plan(api.desk, api.app(request), body.version, build=True)
    return web.json_response(plan_view(found))


async def lock(api: Api, request: web.Request, body: LockBody) -> web.Response:
    by = (await requester(request)).name
    note_about(request, reason=body.reason)
    lock = AppLock(app=api.name(request), reason=body.reason, by=by, at=time.time())
    await api.desk.set_lock(lock)
    locked: Locked = {"app": lock.app, "reason": lock.reason, "by": lock.by}
    return web.json_response(locked)


async def resume(api: Api, request: web.Request, _: Empty) -> web.Response:
    resumed: Resumed = {"app": api.name(request)}
    await api.desk.resume(resumed["app"])
    return web.json_response(resumed)


async def unlock(api: Api, request: web.Request, _: Empty) -> web.Response:
    unlocked: Unlocked = {"app": api.name(request)}
    await api.desk.clear_lock(unlocked["app"])
    return web.json_response(unlocked)
