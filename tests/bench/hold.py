"""10,000 requests that are held at once, let through after a switch: whether any fails, and memory.

Each is a POST on a connection of its own, which is kept; in each round all of them wait.
"""

from __future__ import annotations

import asyncio
import resource
import time
from dataclasses import dataclass, field

import psutil

from bluegreen.cli.client import Client
from bluegreen.errors import TrafficError
from bluegreen.traffic.gate import HostGate
from tests.bench.figures import Figure, median
from tests.bench.hosts import TRIVIAL, switch_back, trivial_host
from tests.stack import Stack
from tests.waiting import eventually

REQUESTS = 10_000
ROUNDS = 3
AT_ONCE = 200  # connections that are made at a time
LOOK = 0.1  # seconds between looks at how many wait
LIMIT = 120.0  # seconds for a round's answers
REQUEST = b"POST / HTTP/1.1\r\nHost: bench\r\nContent-Length: 5\r\n\r\nhello"


@dataclass
class Visitors:
    """All connections, and what came of the round's requests."""

    connections: list[Visitor] = field(default_factory=list)
    answered: int = 0
    failed: int = 0

    async def connect(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(REQUESTS // AT_ONCE):
            made = [
                loop.create_connection(lambda: Visitor(self), "127.0.0.1", port)
                for _ in range(AT_ONCE)
            ]
            self.connections += [visitor for _, visitor in await asyncio.gather(*made)]

    def post(self) -> None:
        self.answered = self.failed = 0
        for visitor in self.connections:
            visitor.post()

    async def until_answered(self) -> None:
        await eventually(
            lambda: self.answered + self.failed >= REQUESTS, "all have an answer", within=LIMIT
        )

    def close(self) -> None:
        for visitor in self.connections:
            visitor.transport.close()


class Visitor(asyncio.Protocol):
    """One connection, on which one request at a time is asked."""

    transport: asyncio.Transport

    def __init__(self, visitors: Visitors) -> None:
        self._visitors = visitors
        self._received = b""
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def post(self) -> None:
        self._received, self._waits = b"", True
        if self.transport.is_closing():
            self._end(ok=False)
        else:
            self.transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received.endswith(b"}"):  # of the document that the backend answers
            self._end(ok=self._received.startswith(b"HTTP/1.1 200 "))

    def connection_lost(self, error: Exception | None) -> None:
        self._end(ok=False)

    def _end(self, *, ok: bool) -> None:
        if self._waits:
            self._waits = False
            self._visitors.answered += ok
            self._visitors.failed += not ok


def allow_files() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < REQUESTS + 1000:
        raise SystemExit(f"{most} open files are too few (ulimit -Hn); {REQUESTS} are asked for")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


async def all_wait(built: Stack, visitors: Visitors) -> bool:
    await asyncio.sleep(LOOK)  # a look is a connection to the gate, too
    try:
        state = await HostGate(built.layout).ask(TRIVIAL)
    except TrafficError:  # it is busy with the others
        return False
    return state.waiting + visitors.failed >= REQUESTS


def megabytes(pid: int) -> float:
    return float(psutil.Process(pid).memory_info().rss) / 1e6


async def measure() -> list[Figure]:
    allow_files()
    failed, times, daemon, gate = 0, [], 0.0, 0.0
    async with trivial_host() as built:
        client, visitors = Client(built.root), Visitors()
        await visitors.connect(built.listen[TRIVIAL])
        for _ in range(ROUNDS):
            await asyncio.to_thread(client.post, f"/v1/apps/{TRIVIAL}/hold", {"timeout": 300})
            visitors.post()
            await eventually(lambda: all_wait(built, visitors), "all of them wait", within=LIMIT)
            assert visitors.answered == 0
            assert built.daemon is not None
            daemon = max(daemon, megabytes(built.daemon.pid))
            gate = max(gate, megabytes(built.gate_processes()[0].pid))
            await asyncio.to_thread(switch_back, client, TRIVIAL)
            began = time.perf_counter()
            await asyncio.to_thread(client.post, f"/v1/apps/{TRIVIAL}/release")
            await visitors.until_answered()
            times.append(time.perf_counter() - began)
            failed += visitors.failed
        visitors.close()
    return [
        Figure(name=f"failed of {ROUNDS * REQUESTS:,}", value=failed, unit="requests", goal=0),
        Figure(name="release to the last answer, median", value=median(times), unit="s"),
        Figure(name="release to the last answer, slowest", value=max(times), unit="s"),
        Figure(name="resident memory of the daemon", value=daemon, unit="MB", goal=200),
        Figure(name="resident memory of the gate", value=gate, unit="MB", goal=100),
    ]
