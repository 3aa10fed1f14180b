"""Signed deliveries a second, beside Debian's ``webhook`` with an HMAC rule, under the same load.

Ours are verified, parsed, judged and on disk before they are answered; webhook verifies and
matches, and keeps nothing. Rounds alternate. Deliveries are pushes as GitHub sends them, each of
its own: of a branch that is ignored, and of tags that trigger, where webhook starts ``true`` and
ours queues a release that waits for a manual promotion.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, median, p99
from tests.bench.servers import program, running
from tests.ports import kernel_ports
from tests.stack import Stack, stack
from tests.webhooks.deliveries import SECRET, payload, signed

ROUNDS = 5
CONNECTIONS = 32
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
async def ours() -> AsyncIterator[Stack]:
    """A daemon whose only app was never deployed and is locked: what is triggered waits."""
    async with stack() as built:
        secret = built.root / "hook"
        secret.write_text(SECRET)
        built.write_app(services=("api",), extra=_RULE.format(secret=secret))
        await built.serve()
        assert (await built.cli("lock", "monitor", "--reason", "a benchmark")).status == 0
        yield built


async def measure() -> list[Figure]:
    figures: list[Figure] = []
    async with ours() as built, debians(built.root) as port:
        targets = {"ours": str(built.layout.control_socket), "webhook": str(port)}
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
                    rates[kind, target].append(count / answer["seconds"])
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
    return [
        Figure(name=f"{kind}: Debian's webhook, median", value=theirs, unit="deliveries/s"),
        Figure(
            name=f"{kind}: ours, on disk, median", value=median(rates[kind, "ours"]),
            unit="deliveries/s",
        ),
        Figure(
            name=f"{kind}: ours ÷ webhook, median of {ROUNDS} rounds", value=ratio, unit="times",
            goal=1.0, at_least=True,
        ),
        Figure(
            name=f"{kind}: p99 of webhook's answers", value=1000 * p99(times[kind, "webhook"]),
            unit="ms",
        ),
        Figure(name=f"{kind}: p99 of ours", value=1000 * p99(times[kind, "ours"]), unit="ms"),
    ]  # fmt: skip
