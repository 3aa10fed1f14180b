"""The history, one operation, its events as they come, and its end before its time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from bluegreen.api.bodies import CancelBody
from bluegreen.api.context import Api
from bluegreen.api.limits import LIST_LIMIT
from bluegreen.api.logs import kept_output
from bluegreen.api.parameters import operation_id, whole_number
from bluegreen.api.peer import requester
from bluegreen.api.streaming import streaming
from bluegreen.api.views import event_view, operation_view
from bluegreen.errors import UsageError

KEEP_ALIVE_COMMENT = 15.0  # seconds of silence after which an event stream says that it lives
EVENTS_AT_ONCE = 500


async def operations(api: Api, request: web.Request) -> web.Response:
    """Of the app that the path names, or of all."""
    found = await api.desk.parts.store.operations(
        await api.past_name(request) if "app" in request.match_info else None,
        before=whole_number(request, "before", None, 2**62),
        limit=whole_number(request, "limit", 20, LIST_LIMIT, least=1) or 20,
    )
    return web.json_response({"operations": [operation_view(o) for o in found]})


async def operation(api: Api, request: web.Request) -> web.Response:
    return web.json_response(await _view(api, operation_id(request)))


async def _view(api: Api, number: int) -> dict[str, Any]:
    operation = await api.desk.parts.store.operation(number)
    view = operation_view(operation, await api.desk.parts.store.phases(number))
    layout = api.desk.parts.layout.app(operation.app)
    return view | {"output": await asyncio.to_thread(kept_output, layout, number)}


async def cancel(api: Api, request: web.Request, body: CancelBody) -> web.Response:
    app = api.name(request)
    if body.operation is None:
        operation = await api.desk.cancel(app)
    else:
        operation = await api.desk.cancel_one(app, body.operation, await requester(request))
    return web.json_response(await _view(api, operation.id))


async def events(api: Api, request: web.Request) -> web.StreamResponse:
    """Server-sent events of an operation, resumable by Last-Event-ID, until it has ended."""
    number = operation_id(request)
    await api.desk.parts.store.operation(number)  # raises if there is none
    after = request.headers.get("Last-Event-ID", "0")
    if not after.isdecimal() or len(after) > 18:
        raise UsageError("Last-Event-ID is not right", remedy="send the id of an event")
    async with streaming(request, "text/event-stream") as response:
        await _send_events(api, response, number, int(after))
    return response


async def _send_events(api: Api, response: web.StreamResponse, number: int, last: int) -> None:
    """All after event ``last`` of an operation, as they come, until it has ended."""
    store = api.desk.parts.store
    while True:
        news = api.bus.listen()
        operation = await store.operation(number)
        found = await store.events(operation=number, after=last, limit=EVENTS_AT_ONCE)
        for event in found:
            last = event.id
            data = json.dumps(event_view(event))
            await response.write(f"id: {last}\nevent: {event.kind}\ndata: {data}\n\n".encode())
        if found:
            continue
        if operation.state.is_final:
            data = json.dumps(await _view(api, number))
            await response.write(f"event: end\ndata: {data}\n\n".encode())
            return
        try:
            await asyncio.wait_for(news.wait(), KEEP_ALIVE_COMMENT)
        except TimeoutError:
            await response.write(b": still running\n\n")
