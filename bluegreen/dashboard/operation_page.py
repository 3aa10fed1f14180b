"""One operation: its phases, its output and what visitors met, as they come."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing

from aiohttp import web

from bluegreen.api.documents.apps import AppState
from bluegreen.api.handlers.operations import theirs
from bluegreen.api.logs import operation_logs
from bluegreen.api.views import operation_view, phase_views
from bluegreen.dashboard.app_page import state_of
from bluegreen.dashboard.chart import send_points
from bluegreen.dashboard.context import Dashboard, Visit
from bluegreen.dashboard.live import Fragments, Stream, have, shown_by
from bluegreen.dashboard.offers import offers
from bluegreen.log_tail import printable

LINES = 500  # of each output, with which a page begins at most


async def page(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    number = await theirs(dashboard.api, visit.request)
    operation = await dashboard.api.desk.parts.store.operation(number)
    fragments = await _fragments(dashboard, visit, number)
    return dashboard.pages.page(
        "operation.html", operation=operation_view(operation), parts=fragments,
        have=have(fragments), **visit.common,
    )  # fmt: skip


async def events(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """Until it has ended, and all of its output was sent."""
    number = await theirs(dashboard.api, visit.request)
    store = dashboard.api.desk.parts.store
    has_ended = False

    def ended() -> bool:
        return has_ended

    async def look() -> Fragments:
        nonlocal has_ended
        has_ended = (await store.operation(number)).state.is_final
        return await _fragments(dashboard, visit, number)

    async with dashboard.live.opened(visit.request, visit.session) as stream:
        beside = [
            asyncio.create_task(_send_output(dashboard, stream, number), name="output of a page"),
            asyncio.create_task(send_points(dashboard.api, stream, number), name="chart of a page"),
        ]
        try:
            if await stream.follow(look, shown_by(visit.request), ended):
                await asyncio.gather(*beside)
                await stream.send("end", {})
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
    return stream.response


async def _send_output(dashboard: Dashboard, stream: Stream, number: int) -> None:
    """The latest lines, in the place of those that the page has, and more as they come."""
    await stream.send("output", {})
    desk = dashboard.api.desk
    app = (await desk.parts.store.operation(number)).app
    output = await operation_logs(desk, app, number, None, follow=lambda: True, latest=LINES)
    async with aclosing(output):
        async for line in output:
            document = json.loads(line)
            await stream.send("line", document | {"line": printable(document["line"])})


async def _fragments(dashboard: Dashboard, visit: Visit, number: int) -> Fragments:
    desk, part = dashboard.api.desk, dashboard.pages.fragment
    operation = operation_view(await desk.parts.store.operation(number))
    phases = phase_views(await desk.parts.store.phases(number))
    state: AppState | None = None
    if operation["app"] in desk.apps:
        state = await state_of(dashboard, operation["app"])
    values = {"operation": operation, "phases": phases, "app": state}
    return {
        "outcome": part("parts/outcome.html", **values),
        "phases": part("parts/phases.html", **values),
        "slots": part("parts/slots.html", app=state),
        "actions": part(
            "parts/actions.html", app=state, offers=[] if state is None else offers(state, visit)
        ),
    }
