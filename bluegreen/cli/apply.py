"""``bluegreen apply``: what root reads, made what the app files ask for."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

from bluegreen.cli.client import Client, SilentDaemonError
from bluegreen.config.secrets import looks_secret
from bluegreen.errors import DaemonUnreachableError, UsageError
from bluegreen.host.apply import Host, Plan
from bluegreen.host.places import HostLayout
from bluegreen.reloaded import taken_up
from bluegreen.words import counted

_VARIABLE = re.compile(r'(^[+ -]Environment="|"text=)([A-Za-z_][A-Za-z0-9_]*)=((?:[^"\\]|\\.)*)"')


def apply(options: argparse.Namespace) -> int:
    if options.root != Path("/"):
        raise UsageError(
            f"apply is for the host itself, and the root is {options.root}",
            remedy="leave out --root and BLUEGREEN_ROOT; a root of its own needs no apply",
        )
    if os.geteuid() != 0:
        raise UsageError("apply writes what root reads", remedy="sudo bluegreen apply")
    os.umask(0o022)  # the daemon, polkit and nginx read what is written
    host = Host(HostLayout(options.root))
    plan = asyncio.run(host.plan())
    ask_daemon(options.root)
    if not options.dry_run:
        asyncio.run(host.carry_out(plan))
    # Of the files as they are: a name that two sites have, and one of them loses.
    plan = replace(plan, warnings=[*plan.warnings, *asyncio.run(host.nginx_warnings())])
    if not options.json:
        _show(plan, dry_run=options.dry_run)
    daemon = None if options.dry_run else _have_taken_up(options)
    if options.json:
        print(json.dumps(_document(plan, daemon, dry_run=options.dry_run)))
    return 0


def _have_taken_up(options: argparse.Namespace) -> str:
    """Have the daemon go by the same app files. Raises RefusalError when it does not."""
    try:
        said = taken_up(Client(options.root).post("/v1/reload"))
    except SilentDaemonError as error:
        said = f"{error.message}; {error.remedy}"
    except DaemonUnreachableError:
        said = "the daemon does not run; start it: sudo systemctl enable --now bluegreen"
    if not options.json:
        print(said)
    return said


def ask_daemon(root: Path) -> None:
    """Raises RefusalError where the daemon would not go by the app files: nothing is changed then.

    It knows what runs, which root's files must not be taken from.
    """
    with contextlib.suppress(DaemonUnreachableError):
        Client(root).post("/v1/reload", {"check": True})


def masked(line: str) -> str:
    """A line of a diff without the values of variables whose names say that they are secrets."""
    return _VARIABLE.sub(
        lambda match: f'{match[1]}{match[2]}=…"' if looks_secret(match[2]) else match[0], line
    )


def _show(plan: Plan, *, dry_run: bool) -> None:
    for change in plan.changes:
        for line in change.diff():
            print(masked(line))
    for warning in plan.warnings:
        print(f"warning: {warning}")
    if plan.is_empty:
        print("nothing to do")
        return
    for directory in plan.directories:
        print(f"directory {directory}")
    for action in plan.actions:
        print(action)
    count = counted(len(plan.changes), "file")
    print(f"{count} would change; nothing was done" if dry_run else f"done: {count} changed")


def _document(plan: Plan, daemon: str | None, *, dry_run: bool) -> dict[str, object]:
    return {
        "changed": not plan.is_empty,
        "dry_run": dry_run,
        "files": [
            {
                "path": str(change.path), "change": change.kind,
                "diff": [masked(line) for line in change.diff()],
            }
            for change in plan.changes
        ],
        "directories": [str(directory) for directory in plan.directories],
        "actions": plan.actions,
        "warnings": list(plan.warnings),
        "daemon": daemon,
    }  # fmt: skip
