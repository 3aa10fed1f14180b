"""``bluegreen notify``: who is told what happens, how far, and whether they can be."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

from bluegreen.cli.client import Client
from bluegreen.words import ago, seconds

_SAYS = {
    "accepted": "it was taken", "refused": "REFUSED", "failed": "NOT TOLD",
    "gone": "it wants to be told nothing more",
}  # fmt: skip


def listing(options: argparse.Namespace) -> int:
    found = Client(options.root).get("/v1/notify")
    if options.json:
        print(json.dumps(found))
        return 0
    for receiver in found["receivers"]:
        for line in receiver_lines(receiver):
            print(line)
    if not found["receivers"]:
        print("there are no receivers; describe one: [[notify]] in bluegreen.toml")
    return 0


def try_out(options: argparse.Namespace) -> int:
    """Exit status 1 if one of them has not taken it."""
    body = {} if options.receiver is None else {"receiver": options.receiver}
    found = Client(options.root).post("/v1/notify/test", body)
    if options.json:
        print(json.dumps(found))
    else:
        for test in found["tests"]:
            said = f": {test['said']}" if test["said"] else ""
            print(f"{test['receiver']} ({test['kind']}): {_SAYS[test['outcome']]}{said}")
    return int(any(test["outcome"] != "accepted" for test in found["tests"]))


def receiver_lines(receiver: dict[str, Any]) -> list[str]:
    """A receiver in words, and beneath it what is wrong with it."""
    told = (
        f"told {receiver['delivered']:,}, last {ago(receiver['last_success_at'])}"
        if receiver["last_success_at"] is not None
        else "told nothing yet"
    )
    parts = [told]
    if receiver["waiting"]:
        parts.append(f"{receiver['waiting']:,} wait")
    if receiver["dropped"]:
        parts.append(f"{receiver['dropped']:,} dropped")
    apps = f" for {', '.join(receiver['apps'])}" if receiver["apps"] else ""
    lines = [f"{receiver['receiver']} ({receiver['kind']}{apps}): {', '.join(parts)}"]
    if receiver["gone_at"] is not None:
        lines.append(f"  wants to be told nothing more, since {ago(receiver['gone_at'])}")
    elif receiver["failing_since"] is not None:
        lines.append(f"  fails since {ago(receiver['failing_since'])}{_next(receiver)}")
    if receiver["last_error"] is not None:
        lines.append(f"  last error, {ago(receiver['last_error_at'])}: {receiver['last_error']}")
    return lines


def _next(receiver: dict[str, Any]) -> str:
    if receiver["retry_at"] is None:
        return ""
    return f"; tried again in {seconds(max(0.0, receiver['retry_at'] - time.time()))}"
