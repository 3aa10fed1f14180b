"""``bluegreen reload``: take up changed app files."""

from __future__ import annotations

import argparse
import json

from bluegreen.cli.client import Client


def reload(options: argparse.Namespace) -> int:
    answer = Client(options.root).post("/v1/reload")
    if options.json:
        print(json.dumps(answer))
        return 0
    changes = [
        f"{what.replace('_', ' ')} {', '.join(names)}" for what, names in answer.items() if names
    ]
    print("reloaded: " + ("; ".join(changes) if changes else "nothing has changed"))
    return 0
