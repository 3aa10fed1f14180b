"""The application, and where it is served."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import cast

from aiohttp import web

from bluegreen.api.access import Access
from bluegreen.api.audit import audited
from bluegreen.api.bodies import BODY_LIMIT
from bluegreen.api.context import Api
from bluegreen.api.control_socket import ControlSocket
from bluegreen.api.listening import Listening
from bluegreen.api.problems import as_problems
from bluegreen.api.routes import add_routes
from bluegreen.api.short_way import ShortWay
from bluegreen.dashboard.context import Dashboard, opened
from bluegreen.dashboard.routes import add_pages

SHUTDOWN_LIMIT = 2.0  # seconds that open streams are given when the daemon ends


def application(api: Api, access: Access, dashboard: Dashboard) -> web.Application:
    """What answers every request, wherever it comes in."""
    built = web.Application(
        middlewares=[as_problems, access.middleware(), audited(api.desk.parts.store)],
        client_max_size=BODY_LIMIT,
    )
    built.on_response_prepare.append(_anonymous)
    add_routes(built, api)
    add_pages(built, dashboard)
    return built


async def _anonymous(_: web.Request, response: web.StreamResponse) -> None:
    """Which versions answer is nobody's business."""
    response.headers["Server"] = "bluegreen"


@contextlib.asynccontextmanager
async def serving(api: Api, control: ControlSocket) -> AsyncIterator[Listening]:
    """What is yet to be opened; at the end, whoever is answered still is given a little time."""
    access = Access(api.keyring, api.attempts)
    dashboard = await opened(api, access)
    runner = web.AppRunner(
        application(api, access, dashboard), handle_signals=False, shutdown_timeout=SHUTDOWN_LIMIT
    )
    await runner.setup()
    server = cast(web.Server, runner.server)  # which is made now
    file = api.desk.parts.layout.daemon_file
    listening = Listening(server, access, control, ShortWay(api, access).takes, file)
    try:
        yield listening
    finally:
        await listening.close()
        await runner.cleanup()
        await dashboard.close()
        await api.keyring.close()
