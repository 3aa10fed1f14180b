"""Backups of an app's data, and its migrations."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.bodies import Empty, MigrationBody
from bluegreen.api.context import Api
from bluegreen.api.documents.data import Backups, Verified
from bluegreen.api.handlers.releases import begin, begun
from bluegreen.api.migrations import action_named, applied_view, require_name
from bluegreen.api.parameters import backup_id, idempotency_key
from bluegreen.api.peer import requester
from bluegreen.api.queries import LossQuery
from bluegreen.api.views import entry_view
from bluegreen.operations import restoring


async def backups(api: Api, request: web.Request) -> web.Response:
    app = api.app(request)
    views = [entry_view(entry) for entry in await app.backups.entries()]
    found: Backups = {"app": app.name, "backups": views}
    return web.json_response(found)


async def back_up(api: Api, request: web.Request, _: Empty) -> web.Response:
    return await begin(api, request, api.desk.back_up)


async def loss(api: Api, request: web.Request, query: LossQuery) -> web.Response:
    app, serving = api.app(request), query.serving == "1"
    return web.json_response(await restoring.loss(app, backup_id(request), serving=serving))


async def verify(api: Api, request: web.Request, _: Empty) -> web.Response:
    app, number = api.app(request), backup_id(request)
    damaged = await app.backups.verify(number)
    verified: Verified = {
        "app": app.name, "id": number, "verified": not damaged, "damaged": damaged,
    }  # fmt: skip
    return web.json_response(verified)


async def restore(api: Api, request: web.Request, _: Empty) -> web.Response:
    operation = await api.desk.restore(
        api.name(request), backup_id(request), await requester(request),
        key=idempotency_key(request),
    )  # fmt: skip
    return begun(operation)


async def migrations(api: Api, request: web.Request) -> web.Response:
    return web.json_response(await applied_view(api.app(request)))


async def migrate(api: Api, request: web.Request, body: MigrationBody) -> web.Response:
    action = action_named(request.match_info["action"])
    require_name(action, body.name)
    operation = await api.desk.migrate(
        api.name(request), action, body.name, await requester(request),
        key=idempotency_key(request),
    )  # fmt: skip
    return begun(operation)
