"""What can be done to an app from its page, and what of it whoever looks may do now."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from bluegreen.api.bodies import Body, body_of
from bluegreen.api.context import Api
from bluegreen.api.documents.apps import AppState
from bluegreen.api.limits import NUMBER_LIMIT
from bluegreen.api.route import Route
from bluegreen.api.routes import ROUTES
from bluegreen.dashboard.context import Visit
from bluegreen.errors import UsageError
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.model import UnitState
from bluegreen.traffic.previews import LONGEST_PREVIEW

_BELOW_APP = "/v1/apps/{app}/"
_ROUTES = {
    route.path.removeprefix(_BELOW_APP): (route, route.act, route.body)
    for route in ROUTES
    if route.act is not None and route.body is not None and route.path.startswith(_BELOW_APP)
}
Asked = Callable[[Visit], Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Action:
    """A form of the dashboard in front of a POST of the API: its scope, its checks, its record.

    ``asked`` is what the form asks for, in the API's words. ``is_offered`` where it makes sense.
    """

    label: str
    path: str  # of the API, below that of the app
    is_offered: Callable[[AppState], bool]
    asked: Asked = lambda _: {}
    weight: str = "plain"  # or "primary", "strong", "danger": how it looks

    @property
    def route(self) -> Route:
        return _ROUTES[self.path][0]

    def body(self, visit: Visit) -> Body:
        """What the form asks for. Raises UsageError."""
        raw = json.dumps(self.asked(visit)).encode()
        return body_of(visit.request, raw, _ROUTES[self.path][2])

    async def ask(self, api: Api, request: web.Request, body: Body) -> web.StreamResponse:
        """What the API answers to it."""
        return await _ROUTES[self.path][1](api, request, body)


@dataclass(frozen=True)
class Offer:
    name: str
    label: str
    weight: str


def _time(visit: Visit, field: str, longest: float, unit: float = 1.0) -> float:
    """Seconds, of a field in which so many times ``unit`` are written. Raises UsageError.

    What the API would say of it is in its own words, and in its own unit.
    """
    text = visit.text(field)
    with contextlib.suppress(ValueError):
        if 0 < (seconds := float(text) * unit) <= longest:
            return seconds
    raise UsageError(
        f"{field}: {text[:60]!r} is no such time",
        remedy=f"write a number, more than 0 and at most {longest / unit:g}",
    )


def _deploy(visit: Visit) -> dict[str, Any]:
    asked: dict[str, Any] = {"version": visit.text("version")}
    if known := [text for text in visit.form.get("ack", ()) if text]:
        asked["ack"] = known
    for name in ("force", "manual"):
        if visit.text(name):
            asked[name] = True
    return asked


def _operation(visit: Visit) -> dict[str, Any]:
    """That of the page: what has taken its place since, nobody has seen."""
    text = visit.text("operation")
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(NUMBER_LIMIT))):
        raise UsageError(
            f"operation: {text[:60]!r} is no number", remedy="load the page again, and look at it"
        )
    return {"operation": int(text)}


def _hold(visit: Visit) -> dict[str, Any]:
    return {"timeout": _time(visit, "timeout", LONGEST_HOLD)}


def _rollback(visit: Visit) -> dict[str, Any]:
    return {"version": visit.text("version")}


def _preview(visit: Visit) -> dict[str, Any]:
    if visit.text("revoke"):
        return {"revoke": True}
    return {"seconds": _time(visit, "minutes", LONGEST_PREVIEW, unit=60)}


def _is_at_rest(app: AppState) -> bool:
    return app["operation"] is None


def _takes_releases(app: AppState) -> bool:
    """Nobody has refused them: by a lock, or as requests are held by hand."""
    return _is_at_rest(app) and app["lock"] is None and app["held"] is None


def _can_be_previewed(app: AppState) -> bool:
    """Something runs in the slot that is not the active one."""
    idle = app["slots"]["green" if app["active"] == "blue" else "blue"]
    running = (one["state"] is UnitState.RUNNING for one in idle["services"].values())
    return idle["version"] is not None and any(running)


def _serves(app: AppState) -> bool:
    return app["active"] is not None and not app["closed"]


# In the order in which they stand on the page.
ACTIONS: Mapping[str, Action] = {
    "deploy": Action(
        label="Deploy…", path="deployments", weight="primary", asked=_deploy,
        is_offered=_takes_releases,
    ),
    "promote": Action(
        label="Promote…", path="promote", weight="primary", asked=_operation,
        is_offered=lambda app: app["operation"] is not None
        and app["operation"]["promotion"] is not None,
    ),
    "switch": Action(
        label="Switch back…", path="switch", weight="strong",
        asked=lambda visit: {"to": visit.text("to")},
        is_offered=lambda app: _serves(app) and app["switch_back"]["how"] != "impossible",
    ),
    "cancel": Action(
        label="Cancel…", path="cancel", weight="danger", asked=_operation,
        is_offered=lambda app: not _is_at_rest(app),
    ),
    "preview": Action(
        label="Preview…", path="preview", asked=_preview, is_offered=_can_be_previewed,
    ),
    "rollback": Action(
        label="Roll back…", path="rollback", asked=_rollback,
        is_offered=lambda app: _takes_releases(app) and app["active"] is not None,
    ),
    "restart": Action(
        label="Restart…", path="restart",
        is_offered=lambda app: _takes_releases(app) and _serves(app),
    ),
    "resume": Action(
        label="Resume…", path="resume",
        is_offered=lambda app: app["queue"]["paused"] is not None,
    ),
    "hold": Action(
        label="Hold requests…", path="hold", asked=_hold,
        is_offered=lambda app: _serves(app) and app["held"] is None and _is_at_rest(app),
    ),
    "release": Action(
        label="Let requests through…", path="release", weight="primary",
        is_offered=lambda app: app["held"] is not None and app["held"]["operation"] is None,
    ),
    "start": Action(
        label="Start…", path="start", weight="primary",
        is_offered=lambda app: _is_at_rest(app) and app["active"] is not None and app["closed"],
    ),
    "stop": Action(
        label="Stop…", path="stop", weight="danger",
        is_offered=lambda app: _is_at_rest(app) and _serves(app) and app["held"] is None,
    ),
    "lock": Action(
        label="Lock…", path="lock", asked=lambda visit: {"reason": visit.text("reason")},
        is_offered=lambda app: app["lock"] is None,
    ),
    "unlock": Action(
        label="Unlock…", path="unlock", is_offered=lambda app: app["lock"] is not None,
    ),
}  # fmt: skip


def offers(app: AppState, visit: Visit) -> list[Offer]:
    """The buttons of a page: what makes sense now, and the session's token may do."""
    return [
        Offer(name, action.label, action.weight)
        for name, action in ACTIONS.items()
        if action.is_offered(app) and action.route.scope and visit.may(action.route.scope)
    ]
