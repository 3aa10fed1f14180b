"""Which apps there are, and whether they are up: for everybody, where ``[api]`` says so."""

from __future__ import annotations

import time

from aiohttp import web

from bluegreen.api.context import Api
from bluegreen.dashboard.context import Dashboard
from bluegreen.errors import NotFoundError
from bluegreen.operations.runtime import AppRuntime

KEPT = 2.0  # seconds: whoever reaches the address may ask, as often as they like


async def page(dashboard: Dashboard, _: web.Request) -> web.StreamResponse:
    """Of an app that has never been deployed nothing is said. Raises NotFoundError."""
    if not dashboard.access.rules.settings.status_page:
        raise NotFoundError(
            "there is no status page", remedy="status_page = true in [api] makes one"
        )
    made, now = dashboard.made_for_all, time.monotonic()
    if made.text is None or now - made.at >= KEPT:
        made.text, made.at = _text(dashboard), now
    return web.Response(
        text=made.text, content_type="text/html",
        headers={"Cache-Control": f"public, max-age={KEPT:.0f}"},
    )  # fmt: skip


def _text(dashboard: Dashboard) -> str:
    apps = sorted(dashboard.api.desk.apps.values(), key=lambda app: app.name)
    dashboard.rounds.begin(apps)
    states = {app.name: found for app in apps if (found := is_up(dashboard.api, app)) is not None}
    return dashboard.pages.text("status.html", states=states)


def is_up(api: Api, app: AppRuntime) -> bool | None:
    """Whether the slot that has the traffic runs and is well, as it was asked last; None: none has.

    Requests that are held wait, and that is no outage.
    """
    traffic = api.desk.parts.traffic.read(app.name)
    if traffic.active is None:
        return None
    if traffic.held is not None and time.time() < traffic.held.until:
        return True  # also while nothing runs, as one version makes room for the other
    health = api.checkups.known(app, traffic.active)
    runs = app.is_running(traffic.active)  # what the release was started with
    return not traffic.closed and runs and (health is None or health["healthy"])
