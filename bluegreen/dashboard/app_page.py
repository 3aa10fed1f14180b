"""One app: its slots, what runs, what was done, and the buttons."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.documents.apps import AppState
from bluegreen.api.documents.operations import Phase
from bluegreen.api.queries import PageQuery, read_query
from bluegreen.api.status import app_status
from bluegreen.api.views import operation_view, phase_views
from bluegreen.dashboard.context import Dashboard, Visit
from bluegreen.dashboard.live import Fragments, have, shown_by
from bluegreen.dashboard.offers import offers
from bluegreen.dashboard.rows import attention
from bluegreen.model import Slot

LATEST = 8  # operations on the page itself


async def state_of(dashboard: Dashboard, name: str) -> AppState:
    """The API's document, with the last known health. Raises NotFoundError."""
    app = dashboard.api.desk.app(name)
    dashboard.rounds.begin([app])
    state = await app_status(dashboard.api.desk, app, None)
    state["slots"]["blue"]["health"] = dashboard.api.checkups.known(app, Slot.BLUE)
    state["slots"]["green"]["health"] = dashboard.api.checkups.known(app, Slot.GREEN)
    return state


async def page(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    name = visit.request.match_info["app"]
    fragments = await _fragments(dashboard, visit, name)
    return dashboard.pages.page(
        "app.html", name=name, parts=fragments, have=have(fragments), **visit.common
    )


async def events(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    name = visit.request.match_info["app"]
    dashboard.api.desk.app(name)  # or there is none

    async def look() -> Fragments:
        return await _fragments(dashboard, visit, name)

    async with dashboard.live.opened(visit.request, visit.session) as stream:
        await stream.follow(look, shown_by(visit.request))
    return stream.response


async def history(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """All that was done, in pages."""
    name = await dashboard.api.past_name(visit.request)
    query = read_query(visit.request, PageQuery)
    store = dashboard.api.desk.parts.store
    found = await store.operations(name, before=query.before, limit=query.limit + 1)
    shown = [operation_view(one) for one in found[: query.limit]]
    older = shown[-1]["id"] if len(found) > query.limit else None
    return dashboard.pages.page(
        "history.html", name=name, operations=shown, older=older, begins=query.before is None,
        **visit.common,
    )  # fmt: skip


async def _fragments(dashboard: Dashboard, visit: Visit, name: str) -> Fragments:
    state = await state_of(dashboard, name)
    store, part = dashboard.api.desk.parts.store, dashboard.pages.fragment
    past = [operation_view(one) for one in await store.operations(name, limit=LATEST)]
    phases: list[Phase] = []
    if state["operation"] is not None:
        phases = phase_views(await store.phases(state["operation"]["id"]))
    health = {slot.value: state["slots"][slot.value]["health"] for slot in Slot}
    return {
        "notices": part("parts/notices.html", app=state, attention=attention(state, health)),
        "slots": part("parts/slots.html", app=state),
        "actions": part("parts/actions.html", app=state, offers=offers(state, visit)),
        "running": part("parts/running.html", app=state, phases=phases),
        "past": part("parts/past.html", app=state, operations=past),
    }
