"""The watch by nginx's log: how soon a bad release is left, and what watching costs.

A release begins to fail for 5 of 100 visitors a second after its first, while 200 requests a second
come, with the default window and a limit of 1 %: from the answer with which it is beyond that to
the last request that went to it, and from the very first bad one.

Then requests at a steady rate to the smallest app there is, by wrk on connections that pause
between two requests: alternately while nothing goes on, and in the watch of a release. The rate
falls where answers take longer. Of the daemon all processor time counts, as the kernel has it. What
finds no room in the socket is lost, and how much is told is a figure, too.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bluegreen.cli.client import Client
from bluegreen.operations.watched import TOLD_EVERY
from tests.bench.figures import Figure, median
from tests.bench.hosts import EXECUTED, TRIVIAL, write_trivial_apps
from tests.bench.servers import program
from tests.bench.trivial import write_release as write_trivial_release
from tests.stack import Stack, stack
from tests.watching.shop import SHOP, released, told, write_release, write_shop
from tests.watching.visitors import Visitors

BAD_RELEASES = 9
VISITORS = 200.0  # requests a second
ROUNDS = 6
SECONDS = 5
CONNECTIONS = 100
PAUSE = 18  # milliseconds of each connection, for a little more than 5,000 requests a second
LIMIT = 0.01  # of a release's requests that may fail
WATCHED_WITHIN = 60.0  # seconds until a release is in its watch
_WATCH = '[watch]\nfor = "10m"\nmax_error_rate = "1%"\n'


async def times_to_go_back(built: Stack) -> tuple[list[float], list[float], list[int]]:
    """Seconds of each bad release, from beyond the limit and from the first bad answer on.

    And how many visitors met an error of it.
    """
    seconds, from_first, failed = [], [], []
    for number in range(BAD_RELEASES):
        version = f"bad-{number}"
        write_release(built, version, errors=0.05, after=1, delay=0.01)
        async with Visitors(built.listen[SHOP], VISITORS).coming() as load:
            ended = await released(built, version)
        assert ended["state"] == "rolled_back", ended
        answers = [one for one in load.met if one.version == version]
        bad = [number for number, one in enumerate(answers) if one.status != 200]
        beyond = next(at for count, at in enumerate(bad, start=1) if count > LIMIT * (at + 1))
        seconds.append(answers[-1].at - answers[beyond].at)
        from_first.append(answers[-1].at - answers[bad[0]].at)
        failed.append(len(load.failed()))
    return seconds, from_first, failed


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


def watched(client: Client, version: str) -> int:
    """Have a release of the trivial app in its watch; the operation. Blocking."""
    operation: int = client.post(f"/v1/apps/{TRIVIAL}/deployments", {"version": version})["id"]
    until = time.monotonic() + WATCHED_WITHIN
    while (client.get(f"/v1/apps/{TRIVIAL}")["operation"] or {}).get("phase") != "watch":
        assert time.monotonic() < until, "the release does not come to its watch"
        time.sleep(0.05)
    return operation


@dataclass
class Rounds:
    """Requests a second without and with a watch; in it the daemon's part of a core, and what
    share of the requests it was told of."""

    off: list[float] = field(default_factory=list)
    on: list[float] = field(default_factory=list)
    busy: list[float] = field(default_factory=list)
    told: list[float] = field(default_factory=list)


def rounds(built: Stack, daemon: psutil.Process) -> Rounds:
    """Blocking."""
    client, port = Client(built.root), built.listen[TRIVIAL]
    script = built.root / "pause.lua"
    script.write_text(f"function delay() return {PAUSE} end\n")
    found = Rounds()
    for number in range(ROUNDS):
        found.off.append(requests_a_second(port, script))
        operation = watched(client, f"v{number + 2}")
        before, began = daemon.cpu_times(), time.monotonic()
        found.on.append(requests_a_second(port, script))
        used, took = daemon.cpu_times(), time.monotonic() - began
        found.busy.append((used.user + used.system - before.user - before.system) / took)
        time.sleep(2 * TOLD_EVERY)
        client.post(f"/v1/apps/{TRIVIAL}/cancel", {})
        slots = (event["slots"].values() for event in told(built, operation))
        came = sum(slot["requests"] for one in slots for slot in one)
        found.told.append(came / (found.on[-1] * SECONDS))
    return found


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
        await built.reload()
        seconds, from_first, failed = await times_to_go_back(built)
    async with stack() as built:
        write_watched_app(built)
        await built.serve(prefix=EXECUTED)
        assert built.daemon is not None
        await asyncio.to_thread(watched, Client(built.root), "v1")
        await built.ask("POST", f"/v1/apps/{TRIVIAL}/cancel", {})
        found = await asyncio.to_thread(rounds, built, psutil.Process(built.daemon.pid))
    return [
        Figure(
            name=f"beyond the limit to the last request on a bad slot, median of {BAD_RELEASES}",
            value=median(seconds), unit="s", goal=1.0,
        ),
        Figure(name="the slowest of them", value=max(seconds), unit="s"),
        Figure(name="from the first bad answer, median", value=median(from_first), unit="s"),
        Figure(name="visitors who met an error, median", value=median(failed), unit="requests"),
        Figure(name="without a watch, median", value=median(found.off), unit="requests/s"),
        Figure(name="in a watch, median", value=median(found.on), unit="requests/s"),
        Figure(
            name=f"in a watch ÷ without, median of {ROUNDS} rounds",
            value=median([one / other for one, other in zip(found.on, found.off, strict=True)]),
            unit="times", goal=0.97, at_least=True,
        ),
        Figure(
            name="of a core, the daemon's in a watch, median",
            value=100 * median(found.busy), unit="%", goal=40.0,
        ),
        Figure(
            name="of the requests in a watch, told, median",
            value=100 * median(found.told), unit="%",
        ),
    ]  # fmt: skip
