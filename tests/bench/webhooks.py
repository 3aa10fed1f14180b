"""Signed deliveries a second, beside Debian's ``webhook`` with an HMAC rule, under the same load.

Ours are verified, parsed, judged and on disk before they are answered; webhook verifies and
matches, and keeps nothing. Both answer before they do what a delivery asks for. Rounds alternate.
Deliveries are pushes as GitHub sends them, each of its own: of tags, for which webhook starts
``true`` and ours has a release wait in the queue of an app that is locked, and of branches, of
which the rules of both ask for nothing. A round ends with its last answer. How long it then takes
until all of ours is handed on is a figure of its own, and the next round waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from bluegreen.cli.client import Client
from tests.bench.figures import Figure, median, p99
from tests.bench.hosts import EXECUTED
from tests.bench.servers import program, running
from tests.ports import kernel_ports
from tests.stack import Stack, stack
from tests.webhooks.deliveries import SECRET, payload, signed

ROUNDS = 5
CONNECTIONS = 64
LIMIT = 60.0  # seconds until what was taken up in a round is handed on
POLL = 0.02  # seconds
IGNORED, TRIGGERING = 2000, 300  # deliveries a round
_HOOK = {
    "id": "monitor",
    "execute-command": "/bin/true",
    "trigger-rule": {
        "and": [
            {
                "match": {
                    "type": "payload-hmac-sha256",
                    "secret": SECRET,
                    "parameter": {"source": "header", "name": "X-Hub-Signature-256"},
                }
            },
            {
                "match": {
                    "type": "regex",
                    "regex": "^refs/tags/",
                    "parameter": {"source": "payload", "name": "ref"},
                }
            },
        ]
    },
}
_RULE = """
[[webhook]]
provider = "github"
secret = {{ file = "{secret}" }}
on = "push"
version = "tag"
"""


def deliveries(ref: str, count: int, path: str) -> list[bytes]:
    """Requests as a sender writes them; each has a name and a body of its own. Blocking."""
    document: dict[str, Any] = json.loads(payload("github-push-branch"))
    document["commits"] *= 8  # some 5 KB, as a push of a few commits is
    prepared = []
    for number in range(count):
        unique = os.urandom(8).hex()
        document |= {"ref": ref.format(number), "unique": unique}
        body = json.dumps(document).encode()
        headers = signed("github", "push", body, name=unique) | {
            "host": "bench", "content-length": str(len(body)),
        }  # fmt: skip
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        prepared.append(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + body)
    return prepared


async def load(address: str, requests: Sequence[bytes], scratch: Path) -> dict[str, Any]:
    """Send them, from a process of its own."""
    file = scratch / "requests.pickle"
    await asyncio.to_thread(file.write_bytes, pickle.dumps(list(requests)))
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.webhook_sender", address, str(file), str(CONNECTIONS),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await sender.communicate()
    assert sender.returncode == 0
    answer: dict[str, Any] = json.loads(out)
    return answer


@contextlib.asynccontextmanager
async def debians(scratch: Path) -> AsyncIterator[int]:
    """Debian's webhook; yields its port."""
    hooks = scratch / "hooks.json"
    await asyncio.to_thread(hooks.write_text, json.dumps([_HOOK]))
    [port] = kernel_ports(1)
    command = [
        program("webhook"), "-hooks", str(hooks), "-ip", "127.0.0.1", "-port", str(port),
        "-urlprefix", "hooks",
    ]  # fmt: skip
    async with running(command, port, scratch / "webhook.log"):
        yield port


@contextlib.asynccontextmanager
async def ours() -> AsyncIterator[tuple[Stack, int]]:
    """A daemon and its port; its only app was never deployed and is locked: what comes waits."""
    async with stack() as built:
        secret = built.root / "hook"
        secret.write_text(SECRET)
        built.write_app(services=("api",), extra=_RULE.format(secret=secret))
        [port] = kernel_ports(1)
        built.layout.daemon_file.write_text(f'[api]\nlisten = "127.0.0.1:{port}"\n')
        await built.serve(prefix=EXECUTED)
        assert (await built.cli("lock", "monitor", "--reason", "a benchmark")).status == 0
        yield built, port


async def until_handed_on(built: Stack) -> None:
    """Wait until nothing that was taken up is to be handed on."""
    path = "/v1/apps/monitor/deliveries?limit=1"
    client = Client(built.root)
    async with asyncio.timeout(LIMIT):
        while True:
            newest = (await asyncio.to_thread(client.get, path))["deliveries"]
            if not newest or newest[0]["decision"] != "accepted":
                return
            await asyncio.sleep(POLL)


async def measure() -> list[Figure]:
    figures: list[Figure] = []
    async with ours() as (built, port), debians(built.root) as theirs:
        targets = {"ours": str(port), "webhook": str(theirs)}
        kinds = {
            "ignored": ("refs/heads/x{}", IGNORED),
            "triggering": ("refs/tags/v{}", TRIGGERING),
        }
        rates: dict[tuple[str, str], list[float]] = defaultdict(list)
        times: dict[tuple[str, str], list[float]] = defaultdict(list)
        for kind, (ref, count) in kinds.items():
            for _ in range(ROUNDS):
                for target, address in targets.items():
                    requests = await asyncio.to_thread(deliveries, ref, count, "/hooks/monitor")
                    answer = await load(address, requests, built.root)
                    assert answer["statuses"].keys() <= {"200", "202"}, answer["statuses"]
                    handed_on = time.perf_counter()
                    await until_handed_on(built)
                    handed_on = time.perf_counter() - handed_on + answer["seconds"]
                    rates[kind, target].append(count / answer["seconds"])
                    rates[kind, f"{target} handed on"].append(count / handed_on)
                    times[kind, target] += answer["times"]
        for kind in kinds:
            figures += _figures(kind, rates, times)
    return figures


def _figures(
    kind: str,
    rates: dict[tuple[str, str], list[float]],
    times: dict[tuple[str, str], list[float]],
) -> list[Figure]:
    theirs = median(rates[kind, "webhook"])
    ratio = median(
        [a / b for a, b in zip(rates[kind, "ours"], rates[kind, "webhook"], strict=True)]
    )
    on_disk = median(rates[kind, "ours"])
    handed_on = median(rates[kind, "ours handed on"])
    # What webhook does with an HMAC rule is to start its command: that is the like of a trigger.
    goal = 1.0 if kind == "triggering" else None
    return [
        Figure(name=f"{kind}: Debian's webhook, median", value=theirs, unit="deliveries/s"),
        Figure(name=f"{kind}: ours, on disk, median", value=on_disk, unit="deliveries/s"),
        Figure(
            name=f"{kind}: ours ÷ webhook, median of {ROUNDS} rounds", value=ratio, unit="times",
            goal=goal, at_least=True,
        ),
        Figure(
            name=f"{kind}: p99 of webhook's answers", value=1000 * p99(times[kind, "webhook"]),
            unit="ms",
        ),
        Figure(name=f"{kind}: p99 of ours", value=1000 * p99(times[kind, "ours"]), unit="ms"),
        *(
            [Figure(name=f"{kind}: ours, until handed on", value=handed_on, unit="deliveries/s")]
            if goal
            else []
        ),
    ]  # fmt: skip
