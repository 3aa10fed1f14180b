"""``bluegreen reload``: take up changed app files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping

from bluegreen.cli.client import Client


def reload(options: argparse.Namespace) -> int:
    answer = Client(options.root).post("/v1/reload")
    if options.json:
        print(json.dumps(answer))
        return 0
    print(taken_up(answer))
    return 0


def taken_up(answer: Mapping[str, list[str]]) -> str:
    """What a reload has changed, in words."""
    changes = [
        f"{what.replace('_', ' ')} {', '.join(names)}" for what, names in answer.items() if names
    ]
    return "reloaded: " + ("; ".join(changes) if changes else "nothing has changed")
