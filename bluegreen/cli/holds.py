"""``bluegreen hold`` and ``release``."""

from __future__ import annotations

import argparse
import json

from bluegreen.cli.client import Client, app_path
from bluegreen.cli.times import time_of
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.words import seconds


def hold(options: argparse.Namespace) -> int:
    timeout = time_of("--timeout", options.timeout, LONGEST_HOLD)
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/hold", {"timeout": timeout})
    told = (
        f"{answer['app']}: new requests wait, for {seconds(timeout)} at the most. "
        f"Let them through: bluegreen release {answer['app']}"
    )
    print(json.dumps(answer) if options.json else told)
    return 0


def release(options: argparse.Namespace) -> int:
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/release")
    held = seconds(answer["seconds"])
    told = f"{answer['app']}: requests were held for {held}, and are let through"
    if options.json:
        print(json.dumps(answer))
        return 0
    print(told)
    for warning in answer["warnings"]:
        print(f"warning: {warning}")
    return 0
