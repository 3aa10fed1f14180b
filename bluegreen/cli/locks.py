"""``bluegreen lock`` and ``unlock``."""

from __future__ import annotations

import argparse
import json

from bluegreen.cli.client import Client, app_path


def lock(options: argparse.Namespace) -> int:
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/lock", {"reason": options.reason})
    told = (
        f"{answer['app']} is locked: {options.reason}. Deploys are refused, a switch back is not."
    )
    print(json.dumps(answer) if options.json else told)
    return 0


def unlock(options: argparse.Namespace) -> int:
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/unlock")
    print(json.dumps(answer) if options.json else f"{answer['app']} may be released again")
    return 0
