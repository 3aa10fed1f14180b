"""Looks through the API: 200 apps, and a history of a million operations.

Beside each, a constant answer of as many bytes by aiohttp, in rounds that alternate.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from tests.bench.daemon import answers
from tests.bench.figures import Figure, median, p99
from tests.bench.hosts import TRIVIAL, trivial_host
from tests.bench.long_history import write_history
from tests.stack import Stack
from tests.waiting import eventually

APPS = 200
OPERATIONS = 1_000_000
ROUNDS = 400
WARM_UP = 20
GOAL = 20.0  # ms
LOOKS = {
    f"GET /v1/apps of {APPS}": "/v1/apps",
    "GET /v1/apps/{app}": f"/v1/apps/{TRIVIAL}",
    "GET operations of an app": f"/v1/apps/{TRIVIAL}/operations",
    "GET operations of an app, deep in the past": (
        f"/v1/apps/{TRIVIAL}/operations?before={OPERATIONS // 2}&limit=20"
    ),
    "GET operations of all apps": "/v1/operations",
}


def session(path: Path) -> aiohttp.ClientSession:
    connector = aiohttp.UnixConnector(str(path))
    return aiohttp.ClientSession(
        "http://bluegreen", connector=connector, timeout=aiohttp.ClientTimeout(total=30)
    )


async def look(client: aiohttp.ClientSession, path: str) -> tuple[float, int]:
    """Seconds until all of the answer was there, and its bytes."""
    began = time.perf_counter()
    async with client.get(path) as response:
        body = await response.read()
        assert response.status == 200, body
    return time.perf_counter() - began, len(body)


@contextlib.asynccontextmanager
async def constant(directory: Path, size: int) -> AsyncIterator[aiohttp.ClientSession]:
    """Requests to what answers so many bytes, whatever it is asked."""
    path = directory / f"constant-{size}.sock"
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.bench.constant", str(path), str(size)
    )
    try:
        await eventually(lambda: answers(path), "the constant answer is served")
        async with session(path) as client:
            yield client
    finally:
        server.terminate()
        await server.wait()
        path.unlink(missing_ok=True)


async def alternate(
    built: Stack, daemon: aiohttp.ClientSession, name: str, path: str, goal: float | None = GOAL
) -> list[Figure]:
    """One look at a time, in turn with the constant answer; ``goal`` is in ms."""
    _, size = await look(daemon, path)
    times: dict[str, list[float]] = defaultdict(list)
    async with constant(built.root, size) as other:
        for number in range(WARM_UP + ROUNDS):
            for who, client in (("daemon", daemon), ("constant", other)):
                seconds, _ = await look(client, path)
                if number >= WARM_UP:
                    times[who].append(seconds * 1000)
    kilobytes = f"{size / 1000:.0f} kB"
    return [
        Figure(name=f"{name}: p99", value=p99(times["daemon"]), unit="ms", goal=goal),
        Figure(name=f"{name}: median", value=median(times["daemon"]), unit="ms"),
        Figure(name=f"constant {kilobytes}: p99", value=p99(times["constant"]), unit="ms"),
        Figure(name=f"constant {kilobytes}: median", value=median(times["constant"]), unit="ms"),
    ]


async def measure() -> list[Figure]:
    async with trivial_host(APPS) as built:
        await built.terminate()
        await asyncio.to_thread(
            write_history, built.layout.database, apps=APPS, operations=OPERATIONS
        )
        await built.serve()
        figures: list[Figure] = []
        async with session(built.layout.control_socket) as daemon:
            for name, path in LOOKS.items():
                figures += await alternate(built, daemon, name, path)
            # The first one counts the whole history; nobody waits for a page of figures.
            figures += await alternate(
                built, daemon, f"GET /metrics of {APPS}", "/metrics", goal=None
            )
        return figures
