"""The table of the pages, and the door in front of each."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from aiohttp import web
from aiohttp.typedefs import Handler

from bluegreen.api import route
from bluegreen.api.access import let_in
from bluegreen.api.peer import caller_of, require_app
from bluegreen.api.route import is_for_people
from bluegreen.api.scopes import Scope, require
from bluegreen.dashboard import (
    actions,
    app_list,
    app_page,
    entry,
    operation_page,
    static,
    status_page,
)
from bluegreen.dashboard.context import Dashboard, Visit, no_such_page
from bluegreen.dashboard.entry import VIA, form_of
from bluegreen.dashboard.guard import (
    HEADERS,
    comes_from_elsewhere,
    require_form_token,
    require_same_site,
    secret_of,
)
from bluegreen.errors import BluegreenError, NotFoundError, UnauthenticatedError

Open = Callable[[Dashboard, web.Request], Awaitable[web.StreamResponse]]
Inside = Callable[[Dashboard, Visit], Awaitable[web.StreamResponse]]


@dataclass(frozen=True)
class Page:
    """One method of one path. ``stream``: of events, which a script reads."""

    method: str
    path: str
    answer: Open
    stream: bool = False


def _inside(method: str, path: str, handler: Inside, *, stream: bool = False) -> Page:
    """What is for whoever has logged in, and may look."""

    async def answer(dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
        visit = await _visit(dashboard, request)
        if visit is None:
            return _without_session(page, dashboard, request)
        return await handler(dashboard, visit)

    page = Page(method, path, answer, stream)
    return page


PAGES = (
    Page("GET", "/static/{name}", static.asset),
    Page("GET", "/status", status_page.page),
    Page("GET", "/login", entry.login_page),
    Page("POST", "/login", entry.login),
    _inside("POST", "/logout", entry.logout),
    _inside("GET", "/", app_list.page),
    _inside("GET", "/events", app_list.events, stream=True),
    _inside("GET", "/apps/{app}", app_page.page),
    _inside("GET", "/apps/{app}/events", app_page.events, stream=True),
    _inside("GET", "/apps/{app}/history", app_page.history),
    _inside("GET", "/operations/{id}", operation_page.page),
    _inside("GET", "/operations/{id}/events", operation_page.events, stream=True),
    _inside("GET", "/apps/{app}/{action}", actions.confirmation),
    _inside("POST", "/apps/{app}/{action}", actions.act),
)


async def _nowhere(_: Dashboard, __: Visit) -> web.StreamResponse:
    raise no_such_page()


_NOWHERE = _inside("GET", "", _nowhere)


def add_pages(application: web.Application, dashboard: Dashboard) -> None:
    """Let ``application`` answer every page of the table, with the headers that all have."""
    ours = application[route.PAGES]
    ours.update(
        application.router.add_route(page.method, page.path, _checked(page, dashboard))
        for page in PAGES
    )
    nowhere = _checked(_NOWHERE, dashboard)

    @web.middleware
    async def astray(request: web.Request, handler: Handler) -> web.StreamResponse:
        is_ours = request.match_info.route in ours or not is_for_people(request)
        return await (handler if is_ours else nowhere)(request)

    async def guard(request: web.Request, response: web.StreamResponse) -> None:
        if is_for_people(request):
            response.headers.update(HEADERS)

    application.middlewares.append(astray)
    application.on_response_prepare.append(guard)


def _checked(
    page: Page, dashboard: Dashboard
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            if caller_of(request).uid is not None:
                raise NotFoundError(
                    "the dashboard is not served on the unix socket",
                    remedy="set listen in [api], and open that address in a browser",
                )
            if page.method == "POST":
                require_same_site(request)
            return await page.answer(dashboard, request)
        except BluegreenError as error:
            return _refusal(page, dashboard, error)

    return answer


async def _visit(dashboard: Dashboard, request: web.Request) -> Visit | None:
    """Whoever asks, and what their form has sent; None where nobody has logged in.

    Raises ForbiddenError, NotFoundError, UsageError.
    """
    secret = secret_of(request)
    session = None if secret is None else await dashboard.sessions.find(secret)
    if secret is None or session is None:
        return None
    origin = dashboard.access.origin(request)
    let_in(request, session.token, origin, f"{VIA} from {origin.address}")
    require(request, Scope.READ)
    if "app" in request.match_info:
        require_app(request, request.match_info["app"])
    visit = Visit(request, session, secret)
    if request.method == "POST":
        visit = replace(visit, form=await form_of(request))
        require_form_token(secret, visit.text("form_token"))
    return visit


def _without_session(page: Page, dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
    if page.stream:  # of any other answer than this a script is not told
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        return web.Response(body=b"event: login\ndata: {}\n\n", headers=headers)
    if page.method == "POST":
        raise UnauthenticatedError(
            "your session is over, and nothing was done",
            remedy="log in, and send the form again",
        )
    if comes_from_elsewhere(request):
        # The page itself asks again, and with that the browser sends the cookie, if it has one.
        return dashboard.pages.page("again.html")
    after = "" if request.path_qs == "/" else f"?next={quote(request.path_qs, safe='/')}"
    return web.Response(status=303, headers={"Location": f"/login{after}"})


def _refusal(page: Page, dashboard: Dashboard, error: BluegreenError) -> web.StreamResponse:
    if page.stream:
        return web.Response(status=error.http_status, text=error.message)
    title = HTTPStatus(error.http_status).phrase
    values: dict[str, Any] = {"title": title, "error": error}
    return dashboard.pages.page("error.html", status=error.http_status, **values)
