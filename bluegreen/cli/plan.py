"""``bluegreen plan``: what a deploy would do, and what is in its way."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from bluegreen.cli.client import Client, app_path, require_beside_app
from bluegreen.words import counted, seconds

PATIENCE = 150.0  # seconds: a remote and the commands of [requires] may take their time


def plan(options: argparse.Namespace) -> int:
    """Exit status 1 if something is in the way."""
    from urllib.parse import quote

    client, path = Client(options.root, patience=PATIENCE), f"{app_path(options.app)}/plan"
    require_beside_app(client, options.app, options.version, "VERSION", options.prog)
    if options.build:
        print(f"building {options.version}, beside what serves …", file=sys.stderr)
        found = client.post(path, {"version": options.version})
    else:
        asked = f"version={quote(options.version, safe='', errors='surrogateescape')}"
        found = client.get(f"{path}?{asked}")
    print(json.dumps(found) if options.json else "\n".join(plan_lines(found)))
    return 1 if found["findings"] else 0


def plan_lines(plan: dict[str, Any]) -> list[str]:
    """What ``GET /v1/apps/{app}/plan`` answers, in words."""
    return [
        f"{plan['app']}: {_label(plan)} into {plan['slot']}, {_over(plan['serving'])}",
        *_replaced(plan),
        *_commits(plan),
        *(f"  {line}" for rule in plan["rules"] for line in _rule(rule)),
        *(f"  {line}" for line in plan["variables"]),
        *(f"  warning: {line}" for line in plan["warnings"]),
        *_migrations(plan["migrations"]),
        *_time(plan),
        *_promotion(plan),
        f"  switch back afterwards: {plan['switch_back']['says']}{_while(plan)}",
        *_findings(plan["findings"]),
        *_next(plan),
    ]


def _label(release: dict[str, Any]) -> str:
    version, commit = release["version"], release["commit"]
    return f"{version} ({commit[:10]})" if commit else str(version)


def _over(serving: dict[str, Any] | None) -> str:
    return "the first release" if serving is None else f"over {_label(serving)}"


def _replaced(plan: dict[str, Any]) -> Iterator[str]:
    if plan["replaced"] is not None:
        yield f"  {_label(plan['replaced'])} leaves {plan['slot']}: no switch leads to it then"


def _commits(plan: dict[str, Any]) -> Iterator[str]:
    commits = plan["commits"]
    if commits is None:
        return
    if commits["unknown"] is not None:
        yield f"  commits: {commits['unknown']}"
        return
    if plan["serving"] is None:
        return
    added, dropped = commits["added"], commits["dropped"]
    if not added["count"] and not dropped["count"]:
        yield "  commits: the same one serves"
    for what, found in (("brings", added), ("takes back", dropped)):
        if found["count"]:
            yield f"  {what} {counted(found['count'], 'commit')}:"
            yield from (f"    {_commit(commit)}" for commit in found["newest"])
            if (more := found["count"] - len(found["newest"])) > 0:
                yield f"    and {more:,} older"


def _commit(commit: dict[str, Any]) -> str:
    day = time.strftime("%Y-%m-%d", time.localtime(commit["at"]))
    return f"{commit['id'][:10]}  {day}  {commit['subject']}"


def _rule(rule: dict[str, Any]) -> Iterator[str]:
    unsure = "" if rule["certain"] else ", perhaps: one of the two has no version"
    via = "" if rule["via"] is None else f", by way of {rule['via']}"
    yield f"upgrade rule {rule['span']}{via}{unsure}"
    if rule["breaking"] is not None:
        yield f"  breaks: {rule['breaking']}"


def _migrations(found: dict[str, Any] | None) -> Iterator[str]:
    if found is None:
        return
    names, says = found["names"], found["says"]
    if names is None:
        yield f"  pending migrations: {says}"
    else:
        yield f"  pending migrations: {', '.join(names) or 'none'} ({says})"


def _time(plan: dict[str, Any]) -> Iterator[str]:
    if plan["seconds"] is None:
        yield "  time: not known, no deploy has succeeded yet"
        return
    number = plan["deploys"]
    of = "the last deploy" if number == 1 else f"the median of the last {number} deploys"
    yield f"  time: about {seconds(plan['seconds'])}, by {of}:"
    phases = (f"{one['phase']} {seconds(one['seconds'])}" for one in plan["phases"])
    yield f"    {', '.join(phases)}"


def _promotion(plan: dict[str, Any]) -> Iterator[str]:
    if (deadline := plan["promotion"]["deadline"]) is not None:
        yield (
            f"  then it waits, for {seconds(deadline)} at the most, for: "
            f"bluegreen promote {plan['app']}"
        )
    if steps := plan["promotion"]["steps"]:
        shares = ", ".join(str(step) for step in steps)
        yield (
            f"  then in steps: {shares} % of the clients, each watched for "
            f"{seconds(plan['promotion']['pause'])}"
        )


def _while(plan: dict[str, Any]) -> str:
    if plan["switch_back"]["how"] != "instant" or plan["hot_seconds"] is None:
        return ""
    return f", for {seconds(plan['hot_seconds'])}; then it is started and gated first"


def _findings(findings: list[dict[str, Any]]) -> Iterator[str]:
    if findings:
        yield "In the way of it:"
    for number, finding in enumerate(findings, start=1):
        yield f"  {number}. {finding['message']}"
        yield from (f"     {line}" for line in finding["detail"])
        yield f"     remedy: {finding['remedy']}"


def _next(plan: dict[str, Any]) -> Iterator[str]:
    if plan["findings"]:
        yield "Next: see to each of them, as it says, and plan again; nothing was touched"
        return
    see_to = "see to what it breaks, then: " if plan["acknowledge"] else ""
    yield f"Next: {see_to}{plan['command']}"
