"""The watch by nginx's log: how soon a bad release is left, and what watching costs.

A release begins to fail for 5 of 100 visitors a second after its first, while 200 requests a second
come: from the first that was answered badly to the last that went to it, with the default window.

Then requests at a steady rate to the smallest app there is, by wrk on connections that pause
between two requests: alternately while nothing goes on, and in the watch of a release. The rate
falls where answers take longer. Of the daemon all processor time counts, as the kernel has it.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from pathlib import Path

import psutil

from bluegreen.cli.client import Client
from tests.bench.figures import Figure, median
from tests.bench.hosts import EXECUTED, TRIVIAL, write_trivial_apps
from tests.bench.servers import program
from tests.bench.trivial import write_release as write_trivial_release
from tests.stack import Stack, stack
from tests.watching.shop import SHOP, released, write_release, write_shop
from tests.watching.visitors import Visitors

BAD_RELEASES = 9
VISITORS = 200.0  # requests a second
ROUNDS = 6
SECONDS = 5
CONNECTIONS = 100
PAUSE = 19  # milliseconds of each connection, for a little more than 5,000 requests a second
LIMIT = 60.0  # seconds until a release is in its watch
_WATCH = '[watch]\nfor = "10m"\nmax_error_rate = "1%"\n'


async def times_to_go_back(built: Stack) -> tuple[list[float], list[int]]:
    """Seconds of each bad release, and how many visitors met an error of it."""
    seconds, failed = [], []
    for number in range(BAD_RELEASES):
        version = f"bad-{number}"
        write_release(built, version, errors=0.05, after=1, delay=0.01)
        async with Visitors(built.listen[SHOP], VISITORS).coming() as load:
            ended = await released(built, version)
        assert ended["state"] == "rolled_back", ended
        first = min(one.at for one in load.failed(version))
        seconds.append(max(one.at for one in load.met if one.version == version) - first)
        failed.append(len(load.failed()))
    return seconds, failed


def requests_a_second(port: int, script: Path) -> float:
    """With wrk, on kept connections that pause. Blocking."""
    command = [
        program("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-s", str(script),
        f"http://127.0.0.1:{port}/",
    ]  # fmt: skip
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert "Non-2xx" not in said, said
    rate = re.search(r"Requests/sec: +([\d.]+)", said)
    assert rate is not None, said
    return float(rate[1])


def watched(client: Client, version: str) -> None:
    """Have a release of the trivial app in its watch. Blocking."""
    client.post(f"/v1/apps/{TRIVIAL}/deployments", {"version": version})
    until = time.monotonic() + LIMIT
    while (client.get(f"/v1/apps/{TRIVIAL}")["operation"] or {}).get("phase") != "watch":
        assert time.monotonic() < until, "the release does not come to its watch"
        time.sleep(0.05)


def rounds(built: Stack, daemon: psutil.Process) -> tuple[list[float], list[float], list[float]]:
    """Requests a second without and with a watch, and the daemon's share of a core. Blocking."""
    client, port = Client(built.root), built.listen[TRIVIAL]
    script = built.root / "pause.lua"
    script.write_text(f"function delay() return {PAUSE} end\n")
    off, on, busy = [], [], []
    for number in range(ROUNDS):
        off.append(requests_a_second(port, script))
        watched(client, f"v{number + 2}")
        before, began = daemon.cpu_times(), time.monotonic()
        on.append(requests_a_second(port, script))
        used, took = daemon.cpu_times(), time.monotonic() - began
        busy.append((used.user + used.system - before.user - before.system) / took)
        client.post(f"/v1/apps/{TRIVIAL}/cancel", {})
    return off, on, busy


def write_watched_app(built: Stack) -> None:
    write_trivial_apps(built, 1)
    path = built.layout.app_files / f"{TRIVIAL}.toml"
    path.write_text(path.read_text().replace('[watch]\nfor = "0s"\n', _WATCH + 'max_p99 = "1s"\n'))
    for number in range(1, ROUNDS + 2):
        directory = built.root / "releases" / TRIVIAL / f"v{number}"
        if not directory.exists():
            write_trivial_release(directory, f"v{number}", built.ports[TRIVIAL])


async def measure() -> list[Figure]:
    async with stack() as built:
        write_shop(built, '[watch]\nfor = "0s"\n')
        write_release(built, "v1", delay=0.01)
        await built.serve(prefix=EXECUTED)
        assert (await released(built, "v1"))["state"] == "succeeded"
        write_shop(built, _WATCH)
        assert (await built.ask("POST", "/v1/reload", {}))[0] == 200
        seconds, failed = await times_to_go_back(built)
    async with stack() as built:
        write_watched_app(built)
        await built.serve(prefix=EXECUTED)
        assert built.daemon is not None
        await asyncio.to_thread(watched, Client(built.root), "v1")
        await built.ask("POST", f"/v1/apps/{TRIVIAL}/cancel", {})
        off, on, busy = await asyncio.to_thread(rounds, built, psutil.Process(built.daemon.pid))
    return [
        Figure(
            name=f"first bad answer to the last request on a bad slot, median of {BAD_RELEASES}",
            value=median(seconds), unit="s", goal=1.0,
        ),
        Figure(name="the slowest of them", value=max(seconds), unit="s"),
        Figure(name="visitors who met an error, median", value=median(failed), unit="requests"),
        Figure(name="without a watch, median", value=median(off), unit="requests/s"),
        Figure(name="in a watch, median", value=median(on), unit="requests/s"),
        Figure(
            name=f"in a watch ÷ without, median of {ROUNDS} rounds",
            value=median([one / other for one, other in zip(on, off, strict=True)]),
            unit="times", goal=0.97, at_least=True,
        ),
        Figure(
            name="of a core, the daemon's in a watch, median",
            value=100 * median(busy), unit="%", goal=40.0,
        ),
    ]  # fmt: skip
