"""The history, one operation, its events as they come, and its end before its time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection

from aiohttp import web

from bluegreen.api.bodies import CancelBody, PromoteBody
from bluegreen.api.context import Api
from bluegreen.api.documents.operations import OperationInFull, Operations
from bluegreen.api.logs import kept_output
from bluegreen.api.paging import page, paged
from bluegreen.api.parameters import last_event_id, operation_id
from bluegreen.api.peer import caller_of, requester
from bluegreen.api.queries import PageQuery
from bluegreen.api.streaming import streaming
from bluegreen.api.views import event_view, operation_view, phase_views
from bluegreen.errors import UsageError
from bluegreen.store.operations import not_found

KEEP_ALIVE_COMMENT = 15.0  # seconds of silence after which an event stream says that it lives
EVENTS_AT_ONCE = 500


async def operations(api: Api, request: web.Request, query: PageQuery) -> web.Response:
    """Of all apps that are to be seen."""
    return await _page(api, request, caller_of(request).apps, query)


async def operations_of_app(api: Api, request: web.Request, query: PageQuery) -> web.Response:
    return await _page(api, request, await api.past_name(request), query)


async def _page(
    api: Api, request: web.Request, app: str | Collection[str] | None, query: PageQuery
) -> web.Response:
    store, limit = api.desk.parts.store, query.limit
    found = await store.operations(app, before=query.before, limit=limit + 1)
    shown, following = page(request, found, limit)
    answer: Operations = {
        "operations": [operation_view(one) for one in shown], "next": following,
    }  # fmt: skip
    return paged(answer, following)


async def operation(api: Api, request: web.Request) -> web.Response:
    return web.json_response(await _view(api, await theirs(api, request)))


async def theirs(api: Api, request: web.Request) -> int:
    """The operation that the path names. Raises NotFoundError, also where it is not to be seen."""
    found = await api.desk.parts.store.operation(operation_id(request))
    if not caller_of(request).sees(found.app):
        raise not_found(found.id)
    return found.id


async def _view(api: Api, number: int) -> OperationInFull:
    operation = await api.desk.parts.store.operation(number)
    phases = phase_views(await api.desk.parts.store.phases(number))
    layout = api.desk.parts.layout.app(operation.app)
    output = await asyncio.to_thread(kept_output, layout, number)
    return {**operation_view(operation), "phases": phases, "output": output}


async def promote(api: Api, request: web.Request, body: PromoteBody) -> web.Response:
    by = await requester(request)
    operation = await api.desk.promote(api.name(request), by, number=body.operation)
    return web.json_response(await _view(api, operation.id), status=202)


async def cancel(api: Api, request: web.Request, body: CancelBody) -> web.Response:
    app = api.name(request)
    if body.operation is None:
        operation = await api.desk.cancel(app)
    else:
        operation = await api.desk.cancel_one(app, body.operation, await requester(request))
    return web.json_response(await _view(api, operation.id))


async def events(api: Api, request: web.Request) -> web.StreamResponse:
    """Server-sent events of an operation, resumable by Last-Event-ID, until it has ended."""
    number = await theirs(api, request)
    after = last_event_id(request)
    if after:
        seen = await api.desk.parts.store.events(operation=number, after=after - 1, limit=1)
        if not seen or seen[0].id != after:
            raise UsageError(
                f"Last-Event-ID {after} is no event of operation {number}",
                remedy="leave it out: then the stream begins with the first event",
            )
    async with streaming(request, "text/event-stream", api.keyring) as response:
        await _send_events(api, response, number, after)
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
