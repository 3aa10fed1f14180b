"""``bluegreen resume``, and what waits of an app, in words."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from bluegreen.cli.client import Client, app_path
from bluegreen.words import ago, seconds


def resume(options: argparse.Namespace) -> int:
    client = Client(options.root)
    answer = client.post(f"{app_path(options.app)}/resume")
    told = f"{answer['app']}: releases of triggers begin by themselves again"
    print(json.dumps(answer) if options.json else told)
    return 0


def waiting_lines(app: dict[str, Any]) -> list[str]:
    """What waits, why, and what is not settled; of ``GET /v1/apps/{app}``."""
    queue = app.get("queue", {})  # an older daemon has none
    lines = [
        f"  waiting: operation {one['id']}, {one['version']}, since {ago(one['since'])}, by "
        f"{one['requested_by']}\n    it waits {one['why']}"
        for one in queue.get("waiting", ())
    ]
    paused = queue.get("paused")
    if paused and queue["webhooks"] and not lines:
        lines.append(
            f"  webhooks: their releases wait, since the {paused['kind']} by {paused['by']}, "
            f"{ago(paused['at'])}, until a person deploys, or: bluegreen resume {app['app']}"
        )
    for left in app.get("unsettled", ()):
        what = " ".join(filter(None, (left["kind"], left["version"])))
        again = seconds(max(0.0, left["next_try"] - time.time()))
        tries = "once" if left["tries"] == 1 else f"{left['tries']} times"
        lines.append(
            f"  not settled: operation {left['id']} ({what}), tried {tries}, again in {again}: "
            f"{left['why']}\n    Next: {left['remedy']}"
        )
    return lines
