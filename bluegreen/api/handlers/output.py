"""The output of services and operations."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from bluegreen.api.context import Api
from bluegreen.api.logs import operation_logs, service_logs
from bluegreen.api.parameters import whole_number
from bluegreen.api.streaming import streaming
from bluegreen.errors import UsageError


async def logs(api: Api, request: web.Request) -> web.StreamResponse:
    def follow() -> bool:
        gone = request.transport is None or request.transport.is_closing()
        return request.query.get("follow") == "1" and not gone

    lines = whole_number(request, "lines", 100, 100_000) or 0
    operation = whole_number(request, "operation", None, 2**62)
    if operation is not None and "service" in request.query:
        raise UsageError(
            "an operation has no output of one service alone",
            remedy="name an operation (with a phase, if you like), or a service",
        )
    if operation is not None:
        phase = request.query.get("phase")
        app = await api.past_name(request)
        output = await operation_logs(api.desk, app, operation, phase, follow=follow)
    else:
        service = request.query.get("service")
        output = await service_logs(api.app(request), service, lines=lines, follow=follow)
    async with streaming(request, "application/x-ndjson") as response, aclosing(output):
        async for line in output:
            await response.write(line)
    return response
