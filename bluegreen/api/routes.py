"""The table of the routes. The router and the scopes that are asked for are made from it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from aiohttp import web

from bluegreen.api import bodies
from bluegreen.api.bodies import Body, read_body
from bluegreen.api.context import Api
from bluegreen.api.handlers import apps, daemon, data, operations, output, releases, traffic
from bluegreen.api.scopes import Scope, require

Handler = Callable[[Api, web.Request], Awaitable[web.StreamResponse]]
_B = TypeVar("_B", bound=Body)


@dataclass(frozen=True, kw_only=True)
class Route:
    """One method of one path. ``scope`` None is open to all, ``body`` None takes none."""

    method: str
    path: str
    handler: Handler
    scope: Scope | None
    summary: str
    body: type[Body] | None = None
    status: int = 200  # of the answer where nothing is wrong


def _get(path: str, handler: Handler, scope: Scope | None, summary: str) -> Route:
    return Route(method="GET", path=path, handler=handler, scope=scope, summary=summary)


def _post(
    path: str,
    body: type[_B],
    handler: Callable[[Api, web.Request, _B], Awaitable[web.StreamResponse]],
    scope: Scope,
    summary: str,
    *,
    status: int = 200,
) -> Route:
    async def with_body(api: Api, request: web.Request) -> web.StreamResponse:
        return await handler(api, request, await read_body(request, body))

    return Route(
        method="POST", path=path, handler=with_body, scope=scope, summary=summary,
        body=body, status=status,
    )  # fmt: skip


_APP = "/v1/apps/{app}"
_READ, _DEPLOY, _SWITCH, _ADMIN = Scope.READ, Scope.DEPLOY, Scope.SWITCH, Scope.ADMIN

ROUTES = (
    _get("/healthz", daemon.health, None, "Whether the daemon lives and can read its store"),
    _post("/v1/reload", bodies.ReloadBody, daemon.reload, _ADMIN, "Take up changed files"),
    _get("/v1/apps", apps.apps, _READ, "Every app, and what is wrong with the configuration"),
    _get(_APP, apps.app, _READ, "One app"),
    _get(f"{_APP}/plan", apps.plan, _READ, "What a deploy would do now"),
    _get(f"{_APP}/logs", output.logs, _READ, "The output of services, or of an operation"),
    _get(f"{_APP}/operations", operations.operations, _READ, "The history of an app"),
    _get("/v1/operations", operations.operations, _READ, "The history of all apps"),
    _get("/v1/operations/{id}", operations.operation, _READ, "One operation with its phases"),
    _get("/v1/operations/{id}/events", operations.events, _READ, "Its events as they come"),
    _post(
        f"{_APP}/deployments", bodies.DeployBody, releases.deploy, _DEPLOY,
        "Upgrade the idle slot and switch to it", status=202,
    ),
    _post(
        f"{_APP}/rollback", bodies.RollbackBody, releases.rollback, _DEPLOY,
        "Deploy an older release", status=202,
    ),
    _post(
        f"{_APP}/restart", bodies.Empty, releases.restart, _DEPLOY,
        "The same release in the other slot", status=202,
    ),
    _post(
        f"{_APP}/cancel", bodies.CancelBody, operations.cancel, _DEPLOY,
        "End what runs, and undo it; or what waits",
    ),
    _post(
        f"{_APP}/resume", bodies.Empty, apps.resume, _DEPLOY,
        "Let releases of triggers begin after a switch",
    ),
    _post(
        f"{_APP}/preview", bodies.PreviewBody, traffic.preview, _DEPLOY, "A key to the idle slot"
    ),
    _post(
        f"{_APP}/switch", bodies.SwitchBody, traffic.switch, _SWITCH,
        "Move traffic to the other slot",
    ),
    _post(
        f"{_APP}/stop", bodies.Empty, releases.stop, _ADMIN, "Take the app out of service",
        status=202,
    ),
    _post(
        f"{_APP}/start", bodies.Empty, releases.start, _ADMIN, "Bring it back into service",
        status=202,
    ),
    _post(f"{_APP}/hold", bodies.HoldBody, traffic.hold, _ADMIN, "Let new requests wait"),
    _post(f"{_APP}/release", bodies.Empty, traffic.release, _ADMIN, "Let them through"),
    _post(f"{_APP}/lock", bodies.LockBody, apps.lock, _ADMIN, "Refuse deploys"),
    _post(f"{_APP}/unlock", bodies.Empty, apps.unlock, _ADMIN, "Allow them again"),
    _get(f"{_APP}/backups", data.backups, _READ, "The backups of the app's data"),
    _post(
        f"{_APP}/backups", bodies.Empty, data.back_up, _ADMIN, "Back the app's data up", status=202
    ),
    _get(
        f"{_APP}/backups/{{id}}/loss", data.loss, _READ, "What a restore would replace"
    ),
    _post(
        f"{_APP}/backups/{{id}}/verify", bodies.Empty, data.verify, _ADMIN, "Read all of a backup"
    ),
    _post(
        f"{_APP}/backups/{{id}}/restore", bodies.Empty, data.restore, _ADMIN,
        "Put a backup's data in place", status=202,
    ),
    _get(f"{_APP}/migrations", data.migrations, _READ, "What is known to be applied"),
    _post(
        f"{_APP}/migrations/{{action}}", bodies.MigrationBody, data.migrate, _ADMIN,
        "Check, run, undo or mark migrations", status=202,
    ),
)  # fmt: skip

_IN_TABLE = web.AppKey("routes", dict[web.AbstractRoute, Route])


def _checked(route: Route, api: Api) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        require(request, route.scope)
        return await route.handler(api, request)

    return answer


def add_routes(application: web.Application, api: Api) -> None:
    """Let ``application`` answer every route of the table."""
    application[_IN_TABLE] = {
        application.router.add_route(route.method, route.path, _checked(route, api)): route
        for route in ROUTES
    }


def route_of(request: web.Request) -> Route | None:
    """What of the table the request is for; None where there is no such path or method."""
    return request.app[_IN_TABLE].get(request.match_info.route)
