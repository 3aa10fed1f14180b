"""What pages refer to: styles, the script, the icon. Kept by browsers, as its address changes."""

from __future__ import annotations

from aiohttp import web

from bluegreen.dashboard.context import Dashboard
from bluegreen.errors import NotFoundError


async def asset(dashboard: Dashboard, request: web.Request) -> web.StreamResponse:
    name = request.match_info["name"]
    found = dashboard.pages.assets.get(name)
    if found is None:
        raise NotFoundError(f"there is no {name}", remedy="the dashboard itself is at /")
    current = request.query.get("v") == found.version
    kept = "public, max-age=31536000, immutable" if current else "no-cache"
    return web.Response(
        body=found.body, content_type=found.content_type, charset="utf-8",
        headers={"Cache-Control": kept},
    )  # fmt: skip
