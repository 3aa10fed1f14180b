"""Logging in, by a token of the API, and out."""

from __future__ import annotations

import asyncio
import re

from aiohttp import web

from bluegreen.api import audit
from bluegreen.api.access import let_in
from bluegreen.api.bodies import BODY_TIMEOUT
from bluegreen.dashboard.context import Dashboard, Visit
from bluegreen.dashboard.guard import give_cookie, secret_of, take_cookie
from bluegreen.errors import BluegreenError, UsageError

VIA = "dashboard"
_FORM = "application/x-www-form-urlencoded"
_PAGE = re.compile(r"/[A-Za-z0-9._~/-]*(?:\?[A-Za-z0-9._~=&/+@-]*)?")  # of ours, and no address


def page_after(text: str) -> str:
    """Where to go once somebody is in: a page of this site, whatever the link said."""
    return text if _PAGE.fullmatch(text) and not text.startswith("//") else "/"


async def form_of(request: web.Request) -> dict[str, list[str]]:
    """The fields of a form, in order. Raises UsageError."""
    if request.content_type != _FORM:
        raise UsageError("this is not a form of the dashboard", remedy="send one of its forms")
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            sent = await request.post()
    except TimeoutError as error:
        raise UsageError("the form did not arrive in time", remedy="send it again") from error
    except (web.HTTPRequestEntityTooLarge, ValueError) as error:
        raise UsageError("the form is too large", remedy="write less into it") from error
    found: dict[str, list[str]] = {}
    for name, value in sent.items():
        found.setdefault(name, []).append(str(value))
    return found


async def login_page(dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
    return _login(dashboard, page_after(request.query.get("next", "/")))


async def login(dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
    """A session of its own for each login: one that the browser names already is ended."""
    form = await form_of(request)
    after = page_after(next(iter(form.get("next", ())), "/"))
    text = next(iter(form.get("token", ())), "").strip()
    origin = dashboard.access.origin(request)
    try:
        token = await dashboard.access.token_of(text, origin)
    except BluegreenError as error:
        return _login(dashboard, after, error)
    if (before := secret_of(request)) is not None:
        await dashboard.sessions.end(before)
    let_in(request, token, origin, f"{VIA} from {origin.address}")
    secret = await dashboard.sessions.begin(token)
    await audit.record(dashboard.api.desk.parts.store, request, "POST /login")
    response = web.Response(status=303, headers={"Location": after})
    give_cookie(request, response, secret)
    return response


async def logout(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """The other pages of the session are told, too."""
    await dashboard.sessions.end(visit.secret)
    await audit.record(dashboard.api.desk.parts.store, visit.request, "POST /logout")
    response = web.Response(status=303, headers={"Location": "/login"})
    take_cookie(visit.request, response)
    return response


def _login(
    dashboard: Dashboard, after: str, error: BluegreenError | None = None
) -> web.StreamResponse:
    status = 200 if error is None else error.http_status
    return dashboard.pages.page("login.html", status=status, after=after, error=error)
