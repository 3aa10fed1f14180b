"""The ``api`` service: JSON, a login with a token, and the servers that are watched."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import AsyncIterator

from aiohttp import web

from .alone import held_alone
from .database import Database
from .migrations import main as migrate
from .release import ROOT, Fault, Release, read_release
from .serving import RELEASE, health, run

DATABASE = web.AppKey("database", Database)
CALLS = web.AppKey("calls", deque[float])  # when the health endpoint was asked, last minute


async def _opened(application: web.Application) -> AsyncIterator[None]:
    database = application[DATABASE] = Database(ROOT / "data/servers.db")
    await database.users()
    yield
    await database.close()


def _refused(request: web.Request, status: int, error: str) -> web.Response:
    return web.json_response({"error": error} | request.app[RELEASE].stamp, status=status)


async def _fields(request: web.Request, *names: str) -> list[str] | None:
    """The named texts of a JSON body; None unless all are there and of sensible length."""
    try:
        body = await request.json()
    except ValueError:
        return None
    values = [body.get(name) for name in names] if isinstance(body, dict) else [None]
    texts = [value for value in values if isinstance(value, str) and 0 < len(value) <= 200]
    return texts if len(texts) == len(names) else None


async def _is_logged_in(request: web.Request) -> bool:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return scheme == "Bearer" and await request.app[DATABASE].knows(token)


async def _health(request: web.Request) -> web.Response:
    release = request.app[RELEASE]
    if release.fault is Fault.ERROR_PAGE:
        page = "<html><body><h1>Something went wrong</h1><p>Error 500: no schema</p></body></html>"
        return web.Response(text=page, content_type="text/html")
    if release.fault is Fault.RATE_LIMITED and not _within_rate(request.app[CALLS]):
        return _refused(request, 429, "too many requests: try again in a minute")
    users = await request.app[DATABASE].users()
    return health(release, users=users, features=list(release.features))


def _within_rate(calls: deque[float]) -> bool:
    """Whether this call is not one too many of the last minute."""
    now = time.monotonic()
    while calls and calls[0] < now - 60:
        calls.popleft()
    calls.append(now)
    return len(calls) <= int(os.environ.get("MONITOR_RATE_LIMIT", "99"))


async def _login(request: web.Request) -> web.Response:
    fields = await _fields(request, "user", "password")
    if fields is None:
        return _refused(request, 400, "a JSON object with user and password is wanted")
    token = await request.app[DATABASE].log_in(*fields)
    if token is None:
        return _refused(request, 401, "wrong user or password")
    return web.json_response({"token": token} | request.app[RELEASE].stamp)


async def _servers(request: web.Request) -> web.Response:
    if not await _is_logged_in(request):
        return _refused(request, 401, "log in first")
    servers = {"servers": await request.app[DATABASE].servers()}
    return web.json_response(servers | request.app[RELEASE].stamp)


async def _add_server(request: web.Request) -> web.Response:
    if not await _is_logged_in(request):
        return _refused(request, 401, "log in first")
    fields = await _fields(request, "name", "address")
    if fields is None:
        return _refused(request, 400, "a JSON object with name and address is wanted")
    release = request.app[RELEASE]
    name, address = fields
    number = await request.app[DATABASE].add_server(name, address, release.slot)
    return web.json_response({"id": number} | release.stamp, status=201)


async def _echo(request: web.Request) -> web.Response:
    """What load is put on: the ``n`` of the request comes back, and nothing else is touched."""
    try:
        body = json.loads(await request.read() or b"{}")
    except ValueError:
        return _refused(request, 400, "the body is not JSON")
    number = body.get("n") if isinstance(body, dict) else None
    return web.json_response(request.app[RELEASE].stamp | {"n": number})


def build(release: Release) -> web.Application:
    application = web.Application()
    application[CALLS] = deque()
    application.cleanup_ctx.append(_opened)
    application.router.add_get("/api/health", _health)
    application.router.add_post("/api/login", _login)
    application.router.add_get("/api/servers", _servers)
    application.router.add_post("/api/servers", _add_server)
    application.router.add_post("/api/echo", _echo)
    return application


if __name__ == "__main__":
    # As many apps do; one that cannot migrate does not start.
    if os.environ.get("MONITOR_MIGRATES_AT_START") and (status := migrate("run")):
        sys.exit(status)
    alone = held_alone(read_release("api"))
    run("api", build, port_variable="API_PORT", port=9083)
