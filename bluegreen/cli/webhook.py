"""``bluegreen webhook``: what may ask for releases, what has, and that again."""

from __future__ import annotations

import argparse
import json
from typing import Any
from urllib.parse import quote

from bluegreen.cli.client import Client, app_path
from bluegreen.errors import UsageError
from bluegreen.words import ago

_FILTERS = ("branches", "tags", "workflows", "environments")


def listing(options: argparse.Namespace) -> int:
    client = Client(options.root)
    found = client.get(f"{app_path(options.app)}/webhooks")
    delivered = client.get(f"{app_path(options.app)}/deliveries?limit={options.limit}")
    if options.json:
        print(json.dumps(found | {"deliveries": delivered["deliveries"]}))
        return 0
    if not found["webhooks"]:
        print(f"{found['app']} has no webhook; describe one in its file: [[webhook]]")
    else:
        print(f"{found['app']}: POST {found['path']}")
    for rule in found["webhooks"]:
        for line in rule_lines(rule):
            print(line)
    if found["refused"]:
        print(f"{found['refused']:,} refused since the daemon was started: signed by nobody known")
    for delivery in delivered["deliveries"]:
        print(delivery_line(delivery))
    return 0


def try_out(options: argparse.Namespace) -> int:
    """Exit status 1 if a delivery would be refused, whoever signs it."""
    body = {"event": options.event, "version": options.version}
    named = {key: value for key, value in body.items() if value is not None}
    found = Client(options.root).post(f"{app_path(options.app)}/webhooks/test", named)
    if options.json:
        print(json.dumps(found))
    else:
        print(f"{found['app']}: nothing is deployed by this")
        for test in found["tests"]:
            print(f"  {test_line(test)}")
    return int(any(test["decision"] in ("refused", "unreadable") for test in found["tests"]))


def replay(options: argparse.Namespace) -> int:
    """Exit status 1 if nothing was begun."""
    if options.delivery is None:  # of the only app, which need not be named
        options.app, options.delivery = None, options.app
    if not options.delivery:
        raise UsageError(
            "which delivery?", remedy="name one that is listed: bluegreen webhook list"
        )
    delivery = quote(options.delivery, safe="")
    path = f"{app_path(options.app)}/deliveries/{delivery}/replay"
    found = Client(options.root).post(path)
    if options.json:
        print(json.dumps(found))
    else:
        print(delivery_line(found["delivery"]))
    if found["operation"] is None:
        return 1
    if not options.json:
        app, number = found["operation"]["app"], found["operation"]["id"]
        print(f"watch it: bluegreen logs {app} {number} --follow")
    return 0


def rule_lines(rule: dict[str, Any]) -> list[str]:
    """A ``[[webhook]]`` in words, and what keeps its deliveries from being taken."""
    named = [f"{key} {', '.join(rule[key])}" for key in _FILTERS if rule[key]]
    named += ["pre-releases too"] if rule["prereleases"] else []
    what = "; ".join([f"version = {rule['version']}", *named])
    line = f"  {rule['provider']:<8} on {', '.join(rule['on'])}: {what}"
    return [line, *(f"           NOT USABLE: {problem}" for problem in rule["problems"])]


def delivery_line(delivery: dict[str, Any]) -> str:
    """A delivery in one line, and in another what became of it."""
    what = " ".join(filter(None, [delivery["provider"], delivery["event"], delivery["version"]]))
    line = f"{delivery['id']:>5}  {ago(delivery['received_at']):<12} {what}  {delivery['decision']}"
    if delivery["operation"] is not None:
        line += f"  operation {delivery['operation']}"
    if delivery["replay_of"] is not None:
        line += f"  again what {delivery['replay_of']} was, by {delivery['replayed_by']}"
    return f"{line}\n       {delivery['why']}" if delivery["why"] else line


def test_line(test: dict[str, Any]) -> str:
    """What would be made of a delivery."""
    what = f"{test['provider']} {test['event']} of {test['asked']}"
    if test["decision"] == "accepted":
        return f"{what}: {test['version']} would be asked for"
    return f"{what}: {test['decision']}: {test['why']}"
