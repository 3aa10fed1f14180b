"""The table of the routes: the router, the scopes and the OpenAPI document come from it."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from aiohttp import web

from bluegreen.api import bodies, queries
from bluegreen.api.bodies import Body, Empty, read_body
from bluegreen.api.context import Api
from bluegreen.api.documents.apps import Apps, AppState, Locked, Unlocked
from bluegreen.api.documents.daemon import Alive, Reloaded
from bluegreen.api.documents.data import Applied, Backups, Loss, Verified
from bluegreen.api.documents.notifications import Receivers, ReceiverTests
from bluegreen.api.documents.operations import (
    Event,
    LogLine,
    Operation,
    OperationInFull,
    Operations,
)
from bluegreen.api.documents.plans import Plan
from bluegreen.api.documents.queue import Resumed
from bluegreen.api.documents.tokens import Token, TokenMade, Tokens
from bluegreen.api.documents.traffic import Held, PreviewIssued, PreviewsRevoked, Released, Switched
from bluegreen.api.documents.webhooks import (
    Deliveries,
    DeliveriesTried,
    DeliveryTaken,
    Replayed,
    Webhooks,
)
from bluegreen.api.handlers import (
    apps,
    daemon,
    data,
    metrics,
    notifications,
    operations,
    output,
    releases,
    tokens,
    traffic,
    webhooks,
)
from bluegreen.api.parameters import idempotency_key
from bluegreen.api.queries import NoQuery, Query, read_query
from bluegreen.api.repetitions import digest
from bluegreen.api.route import (
    EVENT_STREAM,
    IN_TABLE,
    JSON,
    JSON_LINES,
    PAGES,
    TEXT,
    Handler,
    Route,
)
from bluegreen.api.scopes import Scope, require
from bluegreen.api.tags import tagged

_KNOWN_BY_OPERATION = (Operation, Switched, Replayed)
_B = TypeVar("_B", bound=Body)
_Q = TypeVar("_Q", bound=Query)


def _get(
    path: str,
    handler: Handler,
    scope: Scope | None,
    summary: str,
    *,
    answers: Any,
    media: str = JSON,
    tag: bool = False,
) -> Route:
    @functools.wraps(handler)
    async def without_query(api: Api, request: web.Request) -> web.StreamResponse:
        read_query(request, NoQuery)
        response = await handler(api, request)
        return tagged(request, response) if tag else response

    return Route(
        method="GET", path=path, handler=without_query, scope=scope, summary=summary,
        answers=answers, media=media, tagged=tag,
    )  # fmt: skip


def _look(
    path: str,
    query: type[_Q],
    handler: Callable[[Api, web.Request, _Q], Awaitable[web.StreamResponse]],
    summary: str,
    *,
    answers: Any,
    media: str = JSON,
    tag: bool = False,
) -> Route:
    """A GET with parameters, for whoever may look."""

    @functools.wraps(handler)
    async def with_query(api: Api, request: web.Request) -> web.StreamResponse:
        response = await handler(api, request, read_query(request, query))
        return tagged(request, response) if tag else response

    return Route(
        method="GET", path=path, handler=with_query, scope=Scope.READ, summary=summary,
        query=query, answers=answers, media=media, tagged=tag,
    )  # fmt: skip


def _post(
    path: str,
    body: type[_B],
    handler: Callable[[Api, web.Request, _B], Awaitable[web.StreamResponse]],
    scope: Scope,
    summary: str,
    *,
    answers: Any,
    statuses: tuple[int, ...] = (200,),
) -> Route:
    begins_operation = answers in _KNOWN_BY_OPERATION

    async def once(api: Api, request: web.Request, asked: _B) -> web.StreamResponse:
        act = functools.partial(handler, api, request, asked)
        # Who may only look must not take up a key that somebody else is about to use.
        if (key := idempotency_key(request)) is None or scope is Scope.READ:
            return await act()
        app = api.name(request) if "app" in request.match_info else ""
        store = api.desk.parts.store
        if begins_operation:
            return await api.repetitions.unless_answered(store, app, key, act)
        return await api.repetitions.once(store, app, key, request, digest(request, asked), act)

    @functools.wraps(handler)
    async def with_body(api: Api, request: web.Request) -> web.StreamResponse:
        read_query(request, NoQuery)
        return await once(api, request, await read_body(request, body))

    return Route(
        method="POST", path=path, handler=with_body, act=once, scope=scope, summary=summary,
        body=body, answers=answers, statuses=statuses,
    )  # fmt: skip


def _delete(path: str, handler: Handler, scope: Scope, summary: str, *, answers: Any) -> Route:
    """What is named by its path alone."""

    @functools.wraps(handler)
    async def bare(api: Api, request: web.Request) -> web.StreamResponse:
        read_query(request, NoQuery)
        await read_body(request, Empty)
        return await handler(api, request)

    return Route(
        method="DELETE", path=path, handler=bare, scope=scope, summary=summary, answers=answers
    )


def _begin(
    path: str,
    body: type[_B],
    handler: Callable[[Api, web.Request, _B], Awaitable[web.StreamResponse]],
    scope: Scope,
    summary: str,
) -> Route:
    """A POST that is answered with the operation that it has begun."""
    return _post(path, body, handler, scope, summary, answers=Operation, statuses=(202,))


_APP = "/v1/apps/{app}"
_DEPLOY, _SWITCH, _ADMIN = Scope.DEPLOY, Scope.SWITCH, Scope.ADMIN

ROUTES = (
    _get(
        "/healthz", daemon.health, None, "Whether the daemon lives and can read its store",
        answers=Alive,
    ),
    _get(
        "/metrics", metrics.metrics, Scope.READ, "Figures for Prometheus, as text or OpenMetrics",
        answers=str, media=TEXT,
    ),
    _get("/v1/openapi.json", daemon.openapi, Scope.READ, "This document", answers=dict[str, Any]),
    _get(
        "/v1/tokens", tokens.tokens, _ADMIN, "The tokens, those that have ended too",
        answers=Tokens,
    ),
    _post(
        "/v1/tokens", bodies.TokenBody, tokens.create_token, _ADMIN, "Make a token",
        answers=TokenMade,
    ),
    _delete("/v1/tokens/{id}", tokens.revoke_token, _ADMIN, "Revoke a token", answers=Token),
    _get(
        "/v1/notify", notifications.receivers, Scope.READ, "Who is told what happens, and how far",
        answers=Receivers,
    ),
    _post(
        "/v1/notify/test", bodies.NotifyTestBody, notifications.tell_a_test, _ADMIN,
        "Send a test to receivers", answers=ReceiverTests,
    ),
    _post(
        "/v1/reload", bodies.ReloadBody, daemon.reload, _ADMIN, "Take up changed files",
        answers=Reloaded,
    ),
    _look(
        "/v1/apps", queries.ProbeQuery, apps.apps,
        "Every app, and what is wrong with the configuration", answers=Apps, tag=True,
    ),
    _look(_APP, queries.ProbeQuery, apps.app, "One app", answers=AppState, tag=True),
    _look(
        f"{_APP}/plan", queries.PlanQuery, apps.plan, "What a deploy would do now",
        answers=Plan,
    ),
    _post(
        f"{_APP}/plan", bodies.PlanBody, apps.plan_and_build, _DEPLOY,
        "The same, with pending migrations asked in a build that is thrown away", answers=Plan,
    ),
    _look(
        f"{_APP}/logs", queries.LogQuery, output.logs,
        "The output of services, or of an operation, as JSON lines",
        answers=LogLine, media=JSON_LINES,
    ),
    _look(
        f"{_APP}/operations", queries.PageQuery, operations.operations_of_app,
        "The history of an app", answers=Operations, tag=True,
    ),
    _look(
        "/v1/operations", queries.PageQuery, operations.operations, "The history of all apps",
        answers=Operations, tag=True,
    ),
    _get(
        "/v1/operations/{id}", operations.operation, Scope.READ, "One operation with its phases",
        answers=OperationInFull, tag=True,
    ),
    _get(
        "/v1/operations/{id}/events", operations.events, Scope.READ,
        "Its events as they come, as server-sent events",
        answers=Event | OperationInFull, media=EVENT_STREAM,
    ),
    _begin(
        f"{_APP}/deployments", bodies.DeployBody, releases.deploy, _DEPLOY,
        "Upgrade the idle slot and switch to it",
    ),
    _begin(
        f"{_APP}/rollback", bodies.RollbackBody, releases.rollback, _DEPLOY,
        "Deploy an older release; with a backup's data, for which it needs the scope admin",
    ),
    _begin(
        f"{_APP}/restart", bodies.Empty, releases.restart, _DEPLOY,
        "Bring the same release up in the other slot",
    ),
    _post(
        f"{_APP}/promote", bodies.PromoteBody, operations.promote, _SWITCH,
        "Let the release go on that waits for a person",
        answers=OperationInFull, statuses=(202,),
    ),
    _post(
        f"{_APP}/cancel", bodies.CancelBody, operations.cancel, _DEPLOY,
        "End what runs, and answer once it is undone; or what waits",
        answers=OperationInFull,
    ),
    _post(
        f"{_APP}/resume", bodies.Empty, apps.resume, _DEPLOY,
        "Let releases of triggers begin again after a switch", answers=Resumed,
    ),
    _post(
        f"{_APP}/preview", bodies.PreviewBody, traffic.preview, _DEPLOY,
        "Issue a key to the idle slot, or end all of them",
        answers=PreviewIssued | PreviewsRevoked,
    ),
    _post(
        f"{_APP}/switch", bodies.SwitchBody, traffic.switch, _SWITCH,
        "Move traffic to the other slot, and answer once it has moved",
        answers=Switched,
    ),
    _begin(
        f"{_APP}/stop", bodies.Empty, releases.stop, _ADMIN, "Take the app out of service",
    ),
    _begin(
        f"{_APP}/start", bodies.Empty, releases.start, _ADMIN, "Bring it back into service",
    ),
    _post(
        f"{_APP}/hold", bodies.HoldBody, traffic.hold, _ADMIN, "Let new requests wait",
        answers=Held,
    ),
    _post(
        f"{_APP}/release", bodies.Empty, traffic.release, _ADMIN, "Let them through",
        answers=Released,
    ),
    _post(
        f"{_APP}/lock", bodies.LockBody, apps.lock, _ADMIN, "Refuse deploys",
        answers=Locked,
    ),
    _post(
        f"{_APP}/unlock", bodies.Empty, apps.unlock, _ADMIN, "Allow them again",
        answers=Unlocked,
    ),
    _get(
        f"{_APP}/backups", data.backups, Scope.READ, "The backups of the app's data",
        answers=Backups,
    ),
    _begin(
        f"{_APP}/backups", bodies.Empty, data.back_up, _ADMIN, "Back the app's data up",
    ),
    _look(
        f"{_APP}/backups/{{id}}/loss", queries.LossQuery, data.loss,
        "What a restore would replace", answers=Loss,
    ),
    _post(
        f"{_APP}/backups/{{id}}/verify", bodies.Empty, data.verify, _ADMIN,
        "Read all of a backup", answers=Verified,
    ),
    _begin(
        f"{_APP}/backups/{{id}}/restore", bodies.Empty, data.restore, _ADMIN,
        "Put a backup's data in place",
    ),
    _get(
        f"{_APP}/migrations", data.migrations, Scope.READ, "What is known to be applied",
        answers=Applied,
    ),
    _begin(
        f"{_APP}/migrations/{{action}}", bodies.MigrationBody, data.migrate, _ADMIN,
        "Check, run, undo or mark migrations",
    ),
    Route(
        method="POST", path="/hooks/{app}", handler=webhooks.receive, scope=None,
        summary="A delivery of a webhook, signed by a secret of the app",
        answers=DeliveryTaken, statuses=(200, 202),
    ),
    _get(
        f"{_APP}/webhooks", webhooks.webhooks, Scope.READ, "The webhooks that the app file has",
        answers=Webhooks,
    ),
    _look(
        f"{_APP}/deliveries", queries.PageQuery, webhooks.deliveries,
        "What was delivered, newest first", answers=Deliveries,
    ),
    _post(
        f"{_APP}/webhooks/test", bodies.WebhookTestBody, webhooks.try_out, Scope.READ,
        "What would be made of a delivery", answers=DeliveriesTried,
    ),
    _post(
        f"{_APP}/deliveries/{{id}}/replay", bodies.Empty, webhooks.replay, _DEPLOY,
        "Do again what a delivery asks for", answers=Replayed, statuses=(200, 202),
    ),
)  # fmt: skip


def _checked(route: Route, api: Api) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        require(request, route.scope)
        return await route.handler(api, request)

    return answer


def add_routes(application: web.Application, api: Api) -> None:
    """Let ``application`` answer every route of the table."""
    application[PAGES] = set()
    application[IN_TABLE] = {
        application.router.add_route(route.method, route.path, _checked(route, api)): route
        for route in ROUTES
    }


def route_of(request: web.Request) -> Route | None:
    """What of the table the request is for; None where there is no such path or method."""
    return request.app[IN_TABLE].get(request.match_info.route)
