"""``bluegreen lock`` and ``unlock``."""

from __future__ import annotations

import argparse
import json

from bluegreen.cli.client import Client, only_app


def lock(options: argparse.Namespace) -> int:
    client = Client(options.root)
    app = only_app(client, options.app)
    answer = client.post(f"/v1/apps/{app}/lock", {"reason": options.reason})
    told = f"{app} is locked: {options.reason}. Deploys are refused, a switch back is not."
    print(json.dumps(answer) if options.json else told)
    return 0


def unlock(options: argparse.Namespace) -> int:
    client = Client(options.root)
    app = only_app(client, options.app)
    answer = client.post(f"/v1/apps/{app}/unlock")
    print(json.dumps(answer) if options.json else f"{app} may be released again")
    return 0
