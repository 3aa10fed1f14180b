"""Where an app's requests go: to which slot, not yet, or to the idle one for whoever may look."""

from __future__ import annotations

import time

from aiohttp import web

from bluegreen.api.bodies import Empty, HoldBody, PreviewBody, SwitchBody
from bluegreen.api.context import Api
from bluegreen.api.documents.traffic import Held, PreviewsRevoked, Released, Switched
from bluegreen.api.parameters import idempotency_key
from bluegreen.api.peer import requester
from bluegreen.api.preview import preview_view
from bluegreen.api.repetitions import keep_in_memory
from bluegreen.api.views import hold_view, operation_view
from bluegreen.model import Slot


async def switch(api: Api, request: web.Request, body: SwitchBody) -> web.Response:
    began = time.perf_counter()
    to = None if body.to == "back" else Slot(body.to)
    app = api.name(request)
    switched = await api.desk.switch(
        app, to, await requester(request), key=idempotency_key(request)
    )
    operation = switched.operation
    answer: Switched = {
        "app": app,
        "to": switched.to,
        "version": api.desk.app(app).slots[switched.to].version,
        "operation": None if operation is None else operation_view(operation),
        "warnings": list(switched.warnings),
        "seconds": time.perf_counter() - began,
    }
    return web.json_response(answer)


async def hold(api: Api, request: web.Request, body: HoldBody) -> web.Response:
    app = api.app(request).name
    hold = await api.desk.hold(app, body.timeout, await requester(request))
    held: Held = {"app": app, "held": hold_view(hold)}
    return web.json_response(held)


async def release(api: Api, request: web.Request, _: Empty) -> web.Response:
    app = api.app(request).name
    hold, warnings = await api.desk.release(app, await requester(request))
    released: Released = {
        "app": app,
        "seconds": max(0.0, time.time() - hold.since),
        "warnings": list(warnings),
    }
    return web.json_response(released)


async def preview(api: Api, request: web.Request, body: PreviewBody) -> web.Response:
    """Issue a key, or end all of them."""
    app, by = api.app(request).name, await requester(request)
    if body.revoke:
        ended = await api.desk.end_previews(app, by)
        revoked: PreviewsRevoked = {"app": app, "revoked": ended}
        return web.json_response(revoked)
    issued = await api.desk.preview(app, body.seconds, by)
    return keep_in_memory(web.json_response(preview_view(app, issued)))
