"""The first page: all apps, as far as they are theirs to see."""

from __future__ import annotations

from aiohttp import web

from bluegreen.api.peer import caller_of
from bluegreen.api.status import findings_view, shown
from bluegreen.dashboard.context import Dashboard, Visit
from bluegreen.dashboard.live import Fragments, have, shown_by
from bluegreen.dashboard.rows import Row


async def page(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """With ``q`` only rows in which that text is: what the script does with what is typed."""
    only = caller_of(visit.request).apps
    dashboard.rounds.begin(shown(dashboard.api.desk, only))
    rows = await dashboard.rows.of(only)
    sought = visit.request.query.get("q", "")[:100]
    found = [row for row in rows if sought.lower() in row.words]
    fragments = _fragments(dashboard, visit, rows)
    return dashboard.pages.page(
        "apps.html", rows=[row.fragment.html for row in found], sought=sought,
        top=fragments["top"].html, have="" if sought else have(fragments), **visit.common,
    )  # fmt: skip


async def events(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    async def look() -> Fragments:
        dashboard.rounds.begin(shown(dashboard.api.desk, only))
        return _fragments(dashboard, visit, await dashboard.rows.of(only))

    only = caller_of(visit.request).apps
    async with dashboard.live.opened(visit.request, visit.session) as stream:
        await stream.follow(look, shown_by(visit.request))
    return stream.response


def _fragments(dashboard: Dashboard, visit: Visit, rows: list[Row]) -> Fragments:
    """A row for each app, and above them how many there are and what is wrong with the host."""
    findings = findings_view(dashboard.api.in_force(), caller_of(visit.request).apps)
    top = dashboard.pages.fragment(
        "top.html", count=len(rows), findings=findings,
        busy=sum(row.busy for row in rows), attention=sum(row.attention for row in rows),
    )  # fmt: skip
    return {"top": top} | {f"app-{row.name}": row.fragment for row in rows}
