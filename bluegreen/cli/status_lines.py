"""The status of apps in words, line by line."""

from __future__ import annotations

import time
from typing import Any

from bluegreen.cli.queue import waiting_lines
from bluegreen.remedies import Remedies
from bluegreen.words import ago, counted, seconds


def status_lines(found: dict[str, Any], remedies: Remedies) -> list[str]:
    """What ``GET /v1/apps`` answers, in words; ``remedies`` are of the root that was asked."""
    lines = head_lines(found, remedies)
    for app in found["apps"]:
        lines += _app_lines(app)
    return lines


def head_lines(found: dict[str, Any], remedies: Remedies) -> list[str]:
    """What concerns all apps, or that there is none."""
    lines = [f"not taken up: {problem}" for problem in found["problems"]]
    if found["problems"]:
        lines.append(
            f"the last accepted configuration is in force; mend the file, then: {remedies.take_up}"
        )
    lines += [f"warning: {warning}" for warning in found["warnings"]]
    if not found["apps"]:
        lines.append("there are no apps; describe one: bluegreen init")
    return lines


def _app_lines(app: dict[str, Any]) -> list[str]:
    lines = [app_head(app)]
    for name, slot in app["slots"].items():
        active = name == app["active"]
        lines += slot_lines(name, slot, active=active, paused=active and is_paused(app))
    return [*lines, *app_rest(app)]


def app_head(app: dict[str, Any]) -> str:
    """Where its traffic goes."""
    if app["active"] is None:
        serving = "never deployed"
        if app["replaces"]:
            places = ", ".join(f"{name} at {at}" for name, at in app["replaces"].items())
            serving += f"; what it replaces serves: {places}"
    elif app["closed"]:
        serving = f"out of service (503); {app['active']} is its active slot"
    else:
        serving = f"traffic on {app['active']}" + (", held" if app["held"] else "")
        if share := app.get("share"):  # an older daemon has none
            serving += f", {share['percent']} % of the clients on {share['slot']}"
    return f"{app['app']}: {serving}"


def is_paused(app: dict[str, Any]) -> bool:
    """Whether an operation holds its requests, in which what serves may be stopped on purpose."""
    return app["held"] is not None and app["held"]["operation"] is not None


def app_rest(app: dict[str, Any]) -> list[str]:
    """What is done to it, what keeps it from being done, and the way back; the first is first."""
    lines, operation = [], app["operation"]
    if operation is not None:
        doing = "undoing " if operation["undoing"] else ""
        lines.append(
            f"  running: operation {operation['id']}, {operation['kind']} "
            f"{operation['version'] or ''}, {doing}{operation['phase'] or 'about to begin'}, since "
            f"{ago(operation['since'])}, by {operation['requested_by']}"
        )
        if operation["waiting_for"]:
            lines.append(f"    waiting for {operation['waiting_for']}")
        lines += _promotion_lines(app)
    lines += waiting_lines(app)
    if app["held"] is not None:
        held, now = app["held"], time.time()
        lines.append(
            f"  held: new requests wait, since {ago(held['since'])}, for "
            f"{seconds(max(0.0, held['until'] - now))} more at the most ({held['by']})"
        )
    if app["lock"] is not None:
        lock = app["lock"]
        lines.append(f"  locked: {lock['reason']} ({lock['by']}, {ago(lock['at'])})")
    lines.append(f"  switch back: {app['switch_back']['says']}")
    return lines


def _promotion_lines(app: dict[str, Any]) -> list[str]:
    """Where a release stands that a person may let go on, and the commands for that."""
    standing = app["operation"].get("promotion")  # an older daemon has none
    if standing is None:
        return []
    name, left = app["app"], seconds(max(0.0, standing["until"] - time.time()))
    if standing["phase"] == "steps":
        steps = ", ".join(str(step) for step in standing["steps"])
        return [
            f"    step {standing['share']} % (of {steps}), for {left} more",
            f"    Next: all clients at once: bluegreen promote {name}; all back: "
            f"bluegreen switch back {name}",
        ]
    see = f"; to see it: bluegreen preview {name}" if standing["slot"] else ""
    return [
        f"    it waits for a person since {ago(standing['since'])}, for {left} more at the most, "
        "then it is taken back",
        f"    Next: bluegreen promote {name} (scope switch), or: bluegreen cancel {name}{see}",
    ]


def _why(service: dict[str, Any]) -> str:
    """How often a service was restarted, and how it ended last, if it has."""
    count = service["restarts"]
    said = [f"restarted {'once' if count == 1 else f'{count} times'}"] if count else []
    if service["last_exit"] and (said or service["state"] != "running"):
        said.append(service["last_exit"])
    return f" ({', '.join(said)})" if said else ""


def _is_there(service: dict[str, Any]) -> bool:
    return any(one["state"] != "stopped" for one in service.get("instances", [service]))


def _how(name: str, service: dict[str, Any]) -> str:
    """``api running`` and, of several instances, ``api 2 of 3 running, api 3 backoff (…)``."""
    each = service.get("instances")
    if each is None:
        return f"{name} {service['state']}{_why(service)}"
    numbered = list(enumerate(each, 1))
    running = sum(one["state"] == "running" for one in each)
    told = [
        f"{name} {number} {one['state']}{_why(one)}"
        for number, one in numbered
        if running and (one["state"] != "running" or one["restarts"])
    ]
    how = f"{name} {running} of {len(each)} running" + ("" if running else _why(service))
    return ", ".join([how, *told])


def slot_lines(name: str, slot: dict[str, Any], *, active: bool, paused: bool = False) -> list[str]:
    """A slot in words, and beneath it its services and what fails.

    ``paused``: where nothing of it runs, that is on purpose.
    """
    version = slot["version"] or "-"
    if slot["commit"]:
        version += f" ({slot['commit'][:10]})"
    state = "active" if active else slot["state"]
    if slot["hot_until"] and state == "hot":
        state += f" for {seconds(max(0.0, slot['hot_until'] - time.time()))} more"
    line = f"  {'*' if active else ' '} {name:<6} {version}  {state}"
    running = [s for s in slot["services"].values() if _is_there(s)]
    if paused and not running:
        line += "  stopped while requests wait"
    elif slot["health"] is not None:
        line += "  healthy" if slot["health"]["healthy"] else "  NOT HEALTHY"
    if count := slot.get("connections"):  # an older daemon has none
        line += f"  {counted(count, 'connection')} open"
    lines = [line]
    if running or (slot["state"] == "hot" and slot["services"]):
        parts = [
            _how(n, s)
            for n, s in slot["services"].items()
            # It belongs in the other slot then.
            if active or not s["exclusive"] or _is_there(s)
        ]
        lines.append("      " + ", ".join(parts))
    if slot["health"] is not None:
        lines += [f"      {failing}" for failing in slot["health"]["failing"]]
    return lines
