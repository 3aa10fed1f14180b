"""Every change that begins no operation is recorded, with who asked for it and from where."""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from bluegreen.api.peer import about_of, app_of, has_only_looked, requester
from bluegreen.api.route import Route
from bluegreen.api.routes import route_of
from bluegreen.api.scopes import Scope
from bluegreen.errors import StoreError
from bluegreen.store import Store

log = logging.getLogger(__name__)

KIND = "audit"  # of the events
WHOLE_HOST = ""  # as the app of an event
_LOOKS = ("GET", "HEAD")
_CHANGES_NOTHING = (None, Scope.READ)  # a delivery of a webhook is recorded as such
# An operation says who asked for it itself; and a switch waits for nothing more.
_OPERATIONS = 202
_SWITCH = "/v1/apps/{app}/switch"


def audited(store: Store) -> Middleware:
    """Inside the door, around every route."""

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        route = route_of(request)
        if route is not None and request.method not in _LOOKS:
            await record_change(store, request, route, response.status)
        return response

    return around


async def record_change(store: Store, request: web.Request, route: Route, status: int) -> None:
    """Record what a route has answered with ``status``, if it is to be recorded here."""
    if status >= 400 or has_only_looked(request) or route.scope in _CHANGES_NOTHING:
        return
    if status != _OPERATIONS and route.path != _SWITCH:
        await record(store, request, f"{route.method} {route.path}")


async def record(store: Store, request: web.Request, what: str) -> None:
    """What could not be recorded is done all the same, and in the log."""
    by = await requester(request)
    app = app_of(request) or WHOLE_HOST
    about = about_of(request)
    said = "".join(f", {name} {value}" for name, value in about.items())
    log.info(
        "%s%s%s by %s via %s", what, f" of {app}" if app else "", said, by.name, by.via,
        extra={"app": app or None},
    )  # fmt: skip
    try:
        await store.add_event(
            app=app, operation=None, kind=KIND,
            data={"asked": what, **about, "by": by.name, "via": by.via},
        )  # fmt: skip
    except StoreError as error:
        log.warning("%s by %s via %s was not recorded: %s", what, by.name, by.via, error.message)
