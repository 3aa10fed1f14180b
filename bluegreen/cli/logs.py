"""``bluegreen logs``: the kept output of an operation or of services."""

from __future__ import annotations

import argparse
import json
import sys
from urllib.parse import urlencode

from bluegreen.cli.client import Client, app_path
from bluegreen.errors import UsageError
from bluegreen.log_tail import printable


def logs(options: argparse.Namespace) -> int:
    # `logs 12` is operation 12 of the only app.
    app, operation = options.app, options.operation
    if operation is None and app is not None and app.isdecimal():
        operation, app = int(app), None
    if options.phase is not None and operation is None:
        raise UsageError(
            "--phase is of an operation, and none was named",
            remedy="name its number, as `bluegreen history` lists it",
        )
    client = Client(options.root)
    asked = {
        "operation": operation,
        "phase": options.phase,
        "service": options.service,
        "lines": options.lines,
        "follow": "1" if options.follow else None,
    }
    query = urlencode({name: value for name, value in asked.items() if value is not None},
                      errors="surrogateescape")  # fmt: skip
    printed = False
    # What an app prints may be meant to move a terminal's cursor or to rewrite its title.
    shown = printable if sys.stdout.isatty() else str
    for line in client.lines(f"{app_path(app)}/logs?{query}"):
        printed = True
        if options.json:
            print(line)
        else:
            entry = json.loads(line)
            print(f"{entry['source']} | {shown(entry['line'])}")
    if not printed:
        print("there is no such output", file=sys.stderr)
    return 0
