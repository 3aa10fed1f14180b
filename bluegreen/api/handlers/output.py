"""The output of services and operations."""

from __future__ import annotations

from contextlib import aclosing

from aiohttp import web

from bluegreen.api.context import Api
from bluegreen.api.logs import operation_logs, service_logs
from bluegreen.api.queries import LogQuery
from bluegreen.api.streaming import streaming
from bluegreen.errors import UsageError


async def logs(api: Api, request: web.Request, query: LogQuery) -> web.StreamResponse:
    def follow() -> bool:
        gone = request.transport is None or request.transport.is_closing()
        return query.follow == "1" and not gone

    operation, service = query.operation, query.service
    if operation is not None and service is not None:
        raise UsageError(
            "an operation has no output of one service alone",
            remedy="name an operation (with a phase, if you like), or a service",
        )
    if operation is not None:
        app = await api.past_name(request)
        output = await operation_logs(api.desk, app, operation, query.phase, follow=follow)
    else:
        output = await service_logs(api.app(request), service, lines=query.lines, follow=follow)
    async with (
        streaming(request, "application/x-ndjson", api.keyring) as response,
        aclosing(output),
    ):
        async for line in output:
            await response.write(line)
    return response
