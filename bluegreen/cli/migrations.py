"""``bluegreen migrations``: check, run, rollback, mark-applied."""

from __future__ import annotations

import argparse
import re
from typing import Any

from bluegreen.cli.client import Client, require_beside_app
from bluegreen.cli.release import begin

_APP = re.compile(r"[a-z][a-z0-9-]{0,39}")


def check(options: argparse.Namespace) -> int:
    return begin(options, "migrations/check", {})


def run(options: argparse.Namespace) -> int:
    return begin(options, "migrations/run", {})


def rollback(options: argparse.Namespace) -> int:
    if options.name is None and options.app is not None and not _APP.fullmatch(options.app):
        options.app, options.name = None, options.app  # no app has such a name
    body: dict[str, Any] = {} if options.name is None else {"name": options.name}
    return begin(options, "migrations/rollback", body)


def mark_applied(options: argparse.Namespace) -> int:
    require_beside_app(Client(options.root), options.app, options.name, "NAME", options.prog)
    return begin(options, "migrations/mark-applied", {"name": options.name})
