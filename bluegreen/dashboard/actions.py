"""Buttons: a page that says what would happen, and the form on it, which asks the API for it."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Any

from aiohttp import web

from bluegreen.api.audit import record_change
from bluegreen.api.parameters import note_key
from bluegreen.api.plan import plan_view
from bluegreen.api.scopes import require
from bluegreen.config.versions import check_version
from bluegreen.dashboard.app_page import state_of
from bluegreen.dashboard.context import Dashboard, Visit, no_such_page
from bluegreen.dashboard.offers import ACTIONS, Action
from bluegreen.dashboard.older import Older, older_releases
from bluegreen.errors import BluegreenError, BusyError, SourceError, UsageError
from bluegreen.operations import planning
from bluegreen.store.failures import DuplicateKeyError, ReusedKeyError

PLAN_LIMIT = 20.0  # seconds that the page of a deploy waits for what git has to be asked
ANSWER_LIMIT = 3.0  # seconds that a form waits for what goes on by itself


def _action_of(visit: Visit) -> Action:
    """Raises NotFoundError; ForbiddenError for whom the session's token lets not."""
    action = ACTIONS.get(visit.request.match_info["action"])
    if action is None:
        raise no_such_page()
    require(visit.request, action.route.scope)
    return action


async def confirmation(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """What would happen, and the form to have it."""
    _action_of(visit)
    asked = {name: visit.request.query.getall(name) for name in visit.request.query}
    return await _page(dashboard, visit, asked)


async def act(dashboard: Dashboard, visit: Visit) -> web.StreamResponse:
    """Do it, and show the app or the operation; or, where it is refused, why."""
    action = _action_of(visit)
    doing = asyncio.create_task(_ask(dashboard, visit, action), name=f"form: {action.path}")
    done, _ = await asyncio.wait({doing}, timeout=ANSWER_LIMIT)
    app = visit.request.match_info["app"]
    if not done:  # a cancel is answered once all is undone, which the page shows
        dashboard.api.desk.later(_see_to(doing), name=doing.get_name())
        return _see_other(f"/apps/{app}")
    try:
        answer = doing.result()
    except (DuplicateKeyError, ReusedKeyError) as error:
        return await _page(dashboard, visit, visit.form, _sent_already(app, error))
    except BluegreenError as error:
        return await _page(dashboard, visit, visit.form, error)
    if action.path == "preview":  # said on this page alone: it is a secret
        return await _page(dashboard, visit, visit.form, issued=answer)
    if "id" in answer and action.path != "cancel":
        return _see_other(f"/operations/{answer['id']}")
    visit.session.said += _said(action, answer)
    return _see_other(f"/apps/{app}")


def _sent_already(app: str, error: DuplicateKeyError | ReusedKeyError) -> BusyError:
    """Of keys nobody knows who has pressed a button. The page that says so has a new one."""
    began = ""
    if isinstance(error, DuplicateKeyError):
        began = f": that began operation {error.operation}"
    return BusyError(
        f"this page was sent already, with other values{began}",
        remedy=f"see on the page of {app} what came of it; to ask for this as well, load this page "
        "again from there",
    )


async def _see_to(doing: asyncio.Task[Any]) -> None:
    await doing


async def _ask(dashboard: Dashboard, visit: Visit, action: Action) -> Any:
    """The API's own answer, recorded as if it had been asked there."""
    if key := visit.text("key"):
        note_key(visit.request, key)
    response = await action.ask(dashboard.api, visit.request, action.body(visit))
    store = dashboard.api.desk.parts.store
    await record_change(store, visit.request, action.route, response.status)
    text = response.text if isinstance(response, web.Response) else None
    return json.loads(text or "{}")


async def _page(
    dashboard: Dashboard,
    visit: Visit,
    asked: dict[str, list[str]],
    error: BluegreenError | None = None,
    issued: dict[str, Any] | None = None,
) -> web.StreamResponse:
    name, app = visit.request.match_info["action"], visit.request.match_info["app"]
    plan = failure = None
    older: list[Older] = []
    if name == "rollback":
        older = await older_releases(dashboard.api.desk.app(app))
    version = next(iter(asked.get("version", ())), "").strip()
    if name == "deploy" and version:
        try:
            plan = await _plan(dashboard, app, version)
        except BluegreenError as refusal:
            failure = refusal
    return dashboard.pages.page(
        f"actions/{name}.html", status=200 if error is None else error.http_status,
        app=await state_of(dashboard, app), name=name, action=ACTIONS[name], asked=asked,
        version=version, plan=plan, failure=failure, error=error, key=secrets.token_urlsafe(12),
        older=older, issued=issued, refused=isinstance(failure, UsageError),
        **visit.common,
    )  # fmt: skip


async def _plan(dashboard: Dashboard, app: str, version: str) -> Any:
    """Raises BluegreenError."""
    check_version(version)
    desk = dashboard.api.desk
    try:
        async with asyncio.timeout(PLAN_LIMIT):
            return plan_view(await planning.plan(desk, desk.app(app), version))
    except TimeoutError as error:
        raise SourceError(
            f"what a deploy of {version} would do was not known within {PLAN_LIMIT:g} s",
            remedy="load this page again, or deploy without having seen it",
        ) from error


def _said(action: Action, answer: dict[str, Any]) -> list[str]:
    """What the next page says first."""
    warnings = [str(one) for one in answer.get("warnings", ())]
    if action.path == "switch":
        took = f"{answer['seconds'] * 1000:.0f} ms"
        return [f"{answer['to']} serves {answer['version']} now ({took})", *warnings]
    done = {
        "cancel": f"operation {answer.get('id')} has ended: {answer.get('state')}",
        "resume": "automatic releases begin again",
        "hold": "new requests wait now",
        "release": "requests go through again",
        "lock": "deploys are refused now",
        "unlock": "deploys are allowed again",
    }
    return [done.get(action.path, "done"), *warnings]


def _see_other(where: str) -> web.Response:
    return web.Response(status=303, headers={"Location": where})
