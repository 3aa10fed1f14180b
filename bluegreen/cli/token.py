"""``bluegreen token``: create, list, revoke."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

from bluegreen.api.limits import LONGEST_LIFE
from bluegreen.cli.client import Client
from bluegreen.cli.times import time_of
from bluegreen.words import ago


def create(options: argparse.Namespace) -> int:
    """The token alone is on the standard output, for a script; what it is, beside it."""
    body: dict[str, Any] = {"scopes": options.scopes, "apps": options.apps}
    if options.expires is not None:
        body["seconds"] = time_of("--expires", options.expires, LONGEST_LIFE)
    if options.name is not None:
        body["name"] = options.name
    made = Client(options.root).post("/v1/tokens", body)
    if options.json:
        print(json.dumps(made))
        return 0
    print(f"{token_line(made)}\nIt is not shown again:", file=sys.stderr, flush=True)
    print(made["token"])
    return 0


def listing(options: argparse.Namespace) -> int:
    found = Client(options.root).get("/v1/tokens")
    if options.json:
        print(json.dumps(found))
        return 0
    for token in found["tokens"]:
        print(token_line(token))
    if not found["tokens"]:
        print("there are no tokens; make one: bluegreen token create --scope read")
    return 0


def revoke(options: argparse.Namespace) -> int:
    answer = Client(options.root).delete(f"/v1/tokens/{options.id}")
    told = f"token {answer['id']} is revoked: what is asked with it is refused from now on"
    print(json.dumps(answer) if options.json else told)
    return 0


def token_line(token: dict[str, Any]) -> str:
    """A token in one line: what it may do, for which apps, until when, and when it was used."""
    name = f" ({token['name']})" if token["name"] else ""
    apps = "all apps" if token["apps"] is None else ", ".join(token["apps"])
    used = (
        "never used"
        if token["last_used_at"] is None
        else f"used {ago(token['last_used_at'])} from {token['last_used_from']}"
    )
    scopes = " ".join(token["scopes"])
    return f"token {token['id']}{name}: {scopes}, {apps}, {_life(token)}, {used}"


def _life(token: dict[str, Any]) -> str:
    if token["revoked_at"] is not None:
        return f"revoked by {token['revoked_by']}"
    if token["expires_at"] is None:
        return "does not expire"
    until = time.strftime("%Y-%m-%d %H:%M", time.localtime(token["expires_at"]))
    return f"valid until {until}" if token["valid"] else f"expired {until}"
