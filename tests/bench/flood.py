"""Deploys and switches back beside 500 deliveries a second for 20 s, and without them.

A third of the deliveries ask for nothing, a third are signed by nobody, and a third ask for a
release of another app, which is locked: it waits in the queue. Visitors go on through nginx.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import pickle
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

from bluegreen.cli.client import Client
from tests.bench import hosts
from tests.bench.figures import Figure, median, p99
from tests.bench.webhooks import deliveries
from tests.ports import kernel_ports
from tests.stack import Stack, stack
from tests.visits import visit
from tests.webhooks.deliveries import SECRET

RATE, SECONDS, CONNECTIONS = 500, 20, 48
QUIET_ROUNDS = 8
ANSWERS = {"200", "202", "401"}  # ignored, waits, refused
_RULE = """
[[webhook]]
provider = "github"
secret = {{ file = "{secret}" }}
on = "push"
version = "tag"
"""


@contextlib.asynccontextmanager
async def served() -> AsyncIterator[tuple[Stack, int]]:
    """A daemon with an app in service and a locked one, and its port."""
    async with stack() as built:
        secret = built.root / "hook"
        secret.write_text(SECRET)
        for app in ("monitor", "shop"):
            built.write_app(app, services=("api",), extra=_RULE.format(secret=secret))
        [port] = kernel_ports(1)
        built.layout.daemon_file.write_text(f'[api]\nlisten = "127.0.0.1:{port}"\n')
        await built.serve(prefix=hosts.EXECUTED)
        assert (await built.cli("lock", "shop", "--reason", "a benchmark")).status == 0
        await built.deploy("v1")
        yield built, port


def mixed(count: int) -> list[bytes]:
    """Blocking."""
    third = count // 3
    ignored = deliveries("refs/heads/x{}", third, "/hooks/monitor")
    waiting = deliveries("refs/tags/v{}", third, "/hooks/shop")
    wrong = [one.replace(b"sha256=", b"sha256=0", 1) for one in ignored]
    return [one for each in zip(ignored, waiting, wrong, strict=True) for one in each]


async def one_round(client: Client, times: dict[str, list[float]]) -> None:
    operation = await asyncio.to_thread(hosts.deploy, client, "monitor", "v2")
    times["deploy"].append(operation["finished_at"] - operation["created_at"])
    began = time.perf_counter()
    await asyncio.to_thread(hosts.switch_back, client, "monitor")
    times["switch back"].append(1000 * (time.perf_counter() - began))


async def visits(built: Stack, statuses: Counter[int]) -> None:
    """One after the other, until cancelled."""
    while True:
        statuses[(await visit(built))[0]] += 1


async def flood(built: Stack, port: int, client: Client, times: dict[str, list[float]]) -> Any:
    """Rounds until the flood is over; what its sender says."""
    file = built.root / "requests.pickle"
    requests = await asyncio.to_thread(mixed, RATE * SECONDS)
    await asyncio.to_thread(file.write_bytes, pickle.dumps(requests))
    sender = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.flood_sender", str(port), str(file), str(RATE),
        str(CONNECTIONS), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    saying = asyncio.create_task(sender.communicate(), name="flood")
    while not saying.done():
        await one_round(client, times)
    out, _ = await saying
    assert sender.returncode == 0
    return json.loads(out)


async def measure() -> list[Figure]:
    quiet: dict[str, list[float]] = defaultdict(list)
    beside: dict[str, list[float]] = defaultdict(list)
    visited: Counter[int] = Counter()
    async with served() as (built, port):
        client = Client(built.root)
        visiting = asyncio.create_task(visits(built, visited), name="visits")
        for _ in range(QUIET_ROUNDS):
            await one_round(client, quiet)
        said = await flood(built, port, client, beside)
        visiting.cancel()
        await asyncio.wait([visiting])
        assert visiting.cancelled()
    statuses = Counter(said["statuses"])
    answered = sum(statuses.values())
    rate = answered / said["seconds"]
    return [
        Figure(name="deliveries answered", value=rate, unit="deliveries/s"),
        Figure(name="told to come again (503)", value=statuses.pop("503", 0), unit="deliveries"),
        Figure(
            name=f"answered otherwise than 200, 202 and 401, of {answered:,}", unit="deliveries",
            value=sum(count for status, count in statuses.items() if status not in ANSWERS), goal=0,
        ),
        Figure(name="p99 of their answers", value=1000 * p99(said["times"]), unit="ms"),
        Figure(
            name=f"failed visits, of {visited.total():,}", value=visited.total() - visited[200],
            unit="requests", goal=0,
        ),
        *(
            Figure(name=f"{what}, {when}, median", value=median(times[what]), unit=unit)
            for what, unit in (("deploy", "s"), ("switch back", "ms"))
            for when, times in (("quiet", quiet), ("beside them", beside))
        ),
        Figure(
            name=f"switch back, beside them, slowest of {len(beside['switch back'])}", unit="ms",
            value=max(beside["switch back"]),
        ),
    ]  # fmt: skip
