"""A daemon with 200 apps: how soon it serves, how much memory it holds, what it does when idle.

One of the apps is deployed and has both slots running.
"""

from __future__ import annotations

import asyncio
import socket
import time
from pathlib import Path

import psutil

from tests.bench.figures import Figure, median
from tests.bench.hosts import trivial_host
from tests.stack import PYTHON, Stack

APPS = 200
IDLE_SECONDS = 30.0
SETTLE_SECONDS = 3.0  # after a start, before idleness is measured
STARTS = 5
LIMIT = 60.0  # seconds for a start
POLL = 0.002  # seconds


def answers(path: Path) -> bool:
    """Whether the daemon answers on its socket. Blocking."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(LIMIT)
        try:
            connection.connect(str(path))
            connection.sendall(b"GET /healthz HTTP/1.0\r\nHost: bluegreen\r\n\r\n")
            return connection.recv(64).split()[1:2] == [b"200"]
        except (FileNotFoundError, ConnectionError):
            return False


def until_it_answers(path: Path, began: float) -> float:
    """Seconds since ``began``. Blocking."""
    while not answers(path):
        assert time.perf_counter() - began < LIMIT, "the daemon does not answer"
        time.sleep(POLL)
    return time.perf_counter() - began


async def start(built: Stack) -> float:
    """Start the daemon anew; seconds until its API answers."""
    await built.terminate()
    with built.daemon_log.open("ab") as log:
        began = time.perf_counter()
        built.daemon = await asyncio.create_subprocess_exec(
            PYTHON, "-m", "bluegreen", "serve", "--root", str(built.root),
            stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
    return await asyncio.to_thread(until_it_answers, built.layout.control_socket, began)


def processor_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


async def measure() -> list[Figure]:
    async with trivial_host(APPS) as built:
        starts = [await start(built) for _ in range(STARTS)]
        assert built.daemon is not None
        process = psutil.Process(built.daemon.pid)
        await asyncio.sleep(SETTLE_SECONDS)
        used, began = processor_seconds(process), time.perf_counter()
        await asyncio.sleep(IDLE_SECONDS)
        share = (processor_seconds(process) - used) / (time.perf_counter() - began)
        resident = process.memory_info().rss
    return [
        Figure(
            name="start to serving its API, median of 5", value=median(starts), unit="s", goal=3
        ),
        Figure(name="start to serving its API, slowest", value=max(starts), unit="s"),
        Figure(name="resident memory", value=resident / 1e6, unit="MB", goal=120),
        Figure(name=f"processor over {IDLE_SECONDS:g} idle s", value=share * 100, unit="%", goal=1),
    ]
