"""Requests that fail in 100 switches: bluegreen and what else switches traffic on one host.

Behind each stand the same two servers, in front of each the same load: 64 keep-alive connections of
POSTs that are never sent twice, with 5 ms between an answer and the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from bluegreen.cli.client import Client
from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.report import Report
from tests.bench.figures import Figure, median
from tests.bench.hosts import TRIVIAL, switch_back, trivial_host
from tests.bench.reload_front import ask, reload_front
from tests.bench.servers import directory_for_servers, program, running
from tests.bench.trivial import SLOTS, backends
from tests.ports import kernel_ports

SWITCHES = 100
PACE = 0.2  # seconds from the beginning of a switch to that of the next, at least
CONNECTIONS = 64
THINK = 0.005  # seconds
LIMIT = 10.0  # seconds until a switch must be seen


@dataclass(frozen=True, kw_only=True)
class Front:
    """Something in front of two slots. ``switch`` is blocking and moves traffic to the other."""

    port: int
    switch: Callable[[], None]


@contextlib.asynccontextmanager
async def bluegreen(mode: str) -> AsyncIterator[Front]:
    async with trivial_host(switch=mode) as host:
        client = Client(host.root)
        yield Front(port=host.listen[TRIVIAL], switch=lambda: switch_back(client, TRIVIAL))


@contextlib.asynccontextmanager
async def nginx(directory: Path) -> AsyncIterator[Front]:
    front, *ports = kernel_ports(3)
    async with (
        backends(directory / "backends", ports),
        reload_front(directory / "nginx", front, ports) as plain,
    ):
        yield Front(port=front, switch=plain.switch)


class Alternating:
    """Calls ``move`` with the other slot each time, and waits until that slot answers."""

    def __init__(self, port: int, move: Callable[[str], None]) -> None:
        self._port = port
        self._move = move
        self._slot = "blue"

    def __call__(self) -> None:
        self._slot = "green" if self._slot == "blue" else "blue"
        self._move(self._slot)
        deadline = time.monotonic() + LIMIT
        while self._slot.encode() not in ask(self._port):
            assert time.monotonic() < deadline, "the switch does not take effect"


def caddy_config(front: int, admin: int, backend: int) -> bytes:
    proxy = {"handler": "reverse_proxy", "upstreams": [{"dial": f"127.0.0.1:{backend}"}]}
    server = {
        "listen": [f"127.0.0.1:{front}"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [proxy]}],
    }
    return json.dumps(
        {
            "admin": {"listen": f"127.0.0.1:{admin}", "config": {"persist": False}},
            "apps": {"http": {"servers": {"app": server}}},
        }
    ).encode()


@contextlib.asynccontextmanager
async def caddy(directory: Path) -> AsyncIterator[Front]:
    front, admin, *ports = kernel_ports(4)
    by_slot = dict(zip(SLOTS, ports, strict=True))

    def load(slot: str) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{admin}/load",
            data=caddy_config(front, admin, by_slot[slot]),
            headers={"Content-Type": "application/json"},
        )
        urllib.request.urlopen(request, timeout=LIMIT).close()

    async with backends(directory / "backends", ports):
        config = directory / "caddy.json"
        await asyncio.to_thread(config.write_bytes, caddy_config(front, admin, by_slot["blue"]))
        command = [program("caddy"), "run", "--config", str(config)]
        async with running(command, front, directory / "caddy.log"):
            yield Front(port=front, switch=Alternating(front, load))


def haproxy_config(directory: Path, front: int, ports: Sequence[int]) -> str:
    servers = "".join(
        f"backend {slot}\n    server {slot} 127.0.0.1:{port}\n"
        for slot, port in zip(SLOTS, ports, strict=True)
    )
    return f"""
global
    stats socket {directory}/admin.sock mode 600 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
frontend app
    bind 127.0.0.1:{front}
    use_backend %[str(active),map({directory}/slot.map)]
{servers}"""


@contextlib.asynccontextmanager
async def haproxy(directory: Path) -> AsyncIterator[Front]:
    front, *ports = kernel_ports(3)

    def set_map(slot: str) -> None:
        with socket.socket(socket.AF_UNIX) as control:
            control.connect(f"{directory}/admin.sock")
            control.sendall(f"set map {directory}/slot.map active {slot}\n".encode())
            assert control.recv(4096).strip() == b"", "HAProxy refuses"

    async with backends(directory / "backends", ports):
        (directory / "slot.map").write_text("active blue\n")
        config = directory / "haproxy.cfg"
        await asyncio.to_thread(config.write_text, haproxy_config(directory, front, ports))
        command = [program("haproxy"), "-db", "-f", str(config)]
        async with running(command, front, directory / "haproxy.log"):
            yield Front(port=front, switch=Alternating(front, set_map))


def switch_at_a_pace(front: Front) -> list[float]:
    """Seconds that each of the switches took. Blocking."""
    times = []
    for _ in range(SWITCHES):
        began = time.perf_counter()
        front.switch()
        times.append(time.perf_counter() - began)
        time.sleep(max(0.0, PACE - times[-1]))
    return times


async def under_load(front: Front) -> tuple[Report, list[float]]:
    settings = LoadSettings(
        url=f"http://127.0.0.1:{front.port}", connections=CONNECTIONS, websockets=0, downloads=0,
        think=THINK,
    )  # fmt: skip
    async with LoadProcess(settings) as load:
        await load.ready()
        times = await asyncio.to_thread(switch_at_a_pace, front)
        return await load.stop(), times


async def measure() -> list[Figure]:
    fronts: dict[str, Callable[[Path], AbstractAsyncContextManager[Front]]] = {
        "bluegreen, marker": lambda _: bluegreen("marker"),
        "bluegreen, reload": lambda _: bluegreen("reload"),
        "nginx -s reload": nginx,
        "Caddy POST /load": caddy,
        "HAProxy set map": haproxy,
    }
    figures = []
    for name, opened in fronts.items():
        with directory_for_servers() as directory:
            async with opened(directory) as front:
                report, times = await under_load(front)
        goal = 0.0 if name == "bluegreen, marker" else None
        figures += [
            Figure(name=f"{name}: failed", value=report.failed, unit="requests", goal=goal),
            Figure(name=f"{name}: answered", value=report.requests, unit="requests"),
            Figure(name=f"{name}: slowest answer", value=report.latency.slowest * 1e3, unit="ms"),
            Figure(name=f"{name}: a switch, median", value=median(times) * 1e3, unit="ms"),
        ]
    return figures
