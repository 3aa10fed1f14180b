"""The application, served on the control socket."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.bodies import BODY_LIMIT
from bluegreen.api.context import Api
from bluegreen.api.control_socket import ControlSocket
from bluegreen.api.problems import as_problems
from bluegreen.api.routes import add_routes
from bluegreen.api.scopes import everything

SHUTDOWN_LIMIT = 2.0  # seconds that open streams are given when the daemon ends
LINE_LIMIT = 512 * 1024  # bytes of a request's first line; what is long is refused in words


def application(api: Api) -> web.Application:
    """What answers every request, wherever it comes in."""
    built = web.Application(middlewares=[as_problems, everything], client_max_size=BODY_LIMIT)
    add_routes(built, api)
    return built


async def serve(api: Api, control: ControlSocket) -> web.AppRunner:
    """Serve on the control socket; the runner's cleanup ends it and closes the socket."""
    runner = web.AppRunner(
        application(api),
        access_log=None,
        auto_decompress=False,  # `as_problems` refuses what is encoded
        handle_signals=False,
        max_line_size=LINE_LIMIT,
        shutdown_timeout=SHUTDOWN_LIMIT,
    )
    await runner.setup()
    await web.SockSite(runner, control.listener).start()
    return runner
