"""Previews: the only answers that say a key."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bluegreen.api.bodies import PreviewBody, read_body
from bluegreen.api.peer import requester
from bluegreen.operations.desk import Desk
from bluegreen.operations.previewing import Issued
from bluegreen.traffic.previews import HEADER


async def preview(desk: Desk, app: str, request: web.Request) -> dict[str, Any]:
    """Issue a key, or end all of them, as the request's body says; see docs/api.md."""
    body = await read_body(request, PreviewBody)
    if body.revoke:
        return {"app": app, "revoked": await desk.end_previews(app, await requester(request))}
    return _view(app, await desk.preview(app, body.seconds, await requester(request)))


def _view(app: str, issued: Issued) -> dict[str, Any]:
    shown = issued.preview
    return {
        "app": app,
        "slot": shown.slot,
        "version": issued.version,
        "until": shown.until,
        "header": {HEADER: shown.key},
        "path": issued.path,
        "link": None if issued.site is None else f"{issued.site}{issued.path}",
    }
