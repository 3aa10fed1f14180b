"""What brings a release into service, or takes an app out of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from bluegreen.api.bodies import DeployBody, Empty, RollbackBody
from bluegreen.api.context import Api
from bluegreen.api.parameters import idempotency_key
from bluegreen.api.peer import requester
from bluegreen.api.scopes import Scope, require
from bluegreen.api.views import operation_view
from bluegreen.model import Operation


async def deploy(api: Api, request: web.Request, body: DeployBody) -> web.Response:
    operation = await api.desk.deploy(
        api.name(request), body.version, await requester(request),
        acknowledged=body.ack, manual=body.manual, forced=body.force, key=idempotency_key(request),
    )  # fmt: skip
    return begun(operation)


async def rollback(api: Api, request: web.Request, body: RollbackBody) -> web.Response:
    if body.restore is not None:
        require(request, Scope.ADMIN)  # the app's data are replaced
    operation = await api.desk.rollback(
        api.name(request), body.version, await requester(request),
        backup=body.restore, key=idempotency_key(request),
    )  # fmt: skip
    return begun(operation)


async def restart(api: Api, request: web.Request, _: Empty) -> web.Response:
    return await begin(api, request, api.desk.restart)


async def stop(api: Api, request: web.Request, _: Empty) -> web.Response:
    return await begin(api, request, api.desk.stop)


async def start(api: Api, request: web.Request, _: Empty) -> web.Response:
    return await begin(api, request, api.desk.start)


async def begin(
    api: Api, request: web.Request, begun_by: Callable[..., Awaitable[Operation]]
) -> web.Response:
    """An operation that needs no more than the app."""
    operation = await begun_by(
        api.name(request), await requester(request), key=idempotency_key(request)
    )
    return begun(operation)


def begun(operation: Operation) -> web.Response:
    """The answer to what goes on."""
    return web.json_response(operation_view(operation), status=202)
