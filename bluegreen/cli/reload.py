"""``bluegreen reload``: take up changed app files."""

from __future__ import annotations

import argparse
import json

from bluegreen.cli.client import Client
from bluegreen.reloaded import taken_up


def reload(options: argparse.Namespace) -> int:
    answer = Client(options.root).post("/v1/reload")
    if options.json:
        print(json.dumps(answer))
        return 0
    print(taken_up(answer))
    return 0
