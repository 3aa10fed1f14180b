"""A switch back through the API, beside what the disk costs and what a reload costs.

The sample app with its four services runs in two roots, of which one has 199 more apps
configured. Rounds alternate: the disk's floor, a switch with one app, a switch with 200 apps; then
a plain nginx is switched by reload.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from bluegreen.cli.client import Client
from bluegreen.files import rename_durably
from tests.bench.figures import Figure, median, p99
from tests.bench.hosts import switch_back, write_trivial_apps
from tests.bench.reload_front import ReloadFront, reload_front
from tests.bench.trivial import backends
from tests.ports import kernel_ports
from tests.stack import Stack, stack

BLOCKS = 10
ROUNDS = 40  # of the floor and of both switches, in each block
RELOADS = 6  # after them, in each block
WARM_UP = 100  # switches of each kind that are not counted: two deploys have just ended
APPS = 200


class DiskFloor:
    """What durability costs at least: two WAL commits, two renames with directory fsync."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._connection = sqlite3.connect(
            directory / "floor.db", isolation_level=None, check_same_thread=False
        )
        for statement in (
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            "CREATE TABLE floor (id INTEGER PRIMARY KEY, text TEXT)",
        ):
            self._connection.execute(statement)
        self._places = (directory / "blue", directory / "green")
        self._places[0].touch()

    def __call__(self) -> None:
        source, target = self._places
        for _ in range(2):
            self._connection.execute("INSERT INTO floor (text) VALUES ('x')")
            rename_durably(source, target)
            source, target = target, source

    def close(self) -> None:
        self._connection.close()


def alternate(
    actions: Mapping[str, Callable[[], None]], rounds: int, times: dict[str, list[float]]
) -> None:
    """Add the seconds of each action, one after the other in every round. Blocking."""
    for _ in range(rounds):
        for name, action in actions.items():
            began = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - began)


@contextlib.asynccontextmanager
async def monitor_host(apps: int) -> AsyncIterator[Stack]:
    """The sample app with both slots hot, and other apps that were never deployed."""
    async with stack() as built:
        write_trivial_apps(built, apps - 1)
        built.write_app(watch="0s")
        await built.serve()
        await built.deploy("v1")
        await built.deploy("v2")
        yield built


@contextlib.asynccontextmanager
async def plain_nginx(directory: Path) -> AsyncIterator[ReloadFront]:
    front, *ports = kernel_ports(3)
    async with (
        backends(directory / "backends", ports),
        reload_front(directory / "plain", front, ports) as plain,
    ):
        yield plain


async def measure() -> list[Figure]:
    async with (
        monitor_host(1) as one,
        monitor_host(APPS) as many,
        plain_nginx(one.root) as plain,
    ):
        with contextlib.closing(DiskFloor(one.root / "floor")) as floor:
            return figures(await asyncio.to_thread(measured, one, many, plain, floor))


def measured(
    one: Stack, many: Stack, plain: ReloadFront, floor: DiskFloor
) -> Mapping[str, list[float]]:
    """Seconds of every round, by what was done. Blocking."""
    first, second = Client(one.root), Client(many.root)
    switches: Mapping[str, Callable[[], None]] = {
        "floor": floor,
        "one": lambda: switch_back(first, "monitor"),
        "many": lambda: switch_back(second, "monitor"),
    }
    reloads = {"reload": plain.switch, "tested": lambda: plain.switch(tested=True)}
    alternate(switches, WARM_UP, defaultdict(list))
    times: dict[str, list[float]] = defaultdict(list)
    for _ in range(BLOCKS):
        alternate(switches, ROUNDS, times)
        alternate(reloads, RELOADS, times)
    return times


def figures(times: Mapping[str, list[float]]) -> list[Figure]:
    names = ("floor", "one", "many", "reload", "tested")
    floor, one, many, reload, tested = (median(times[name]) * 1e3 for name in names)
    slowest = p99(times["one"]) * 1e3
    return [
        Figure(name="disk's floor, median", value=floor, unit="ms"),
        Figure(name="disk's floor, p99", value=p99(times["floor"]) * 1e3, unit="ms"),
        Figure(name="plain nginx -s reload, median", value=reload, unit="ms"),
        Figure(name="nginx -t, then the reload, median", value=tested, unit="ms"),
        Figure(name="switch back, median", value=one, unit="ms"),
        Figure(name="switch back ÷ floor, medians", value=one / floor, unit="times", goal=10),
        Figure(
            name="switch back, p99 (goal: the reload's median)",
            value=slowest, unit="ms", goal=reload,
        ),
        Figure(name=f"switch back with {APPS} apps, median", value=many, unit="ms"),
        Figure(name=f"{APPS} apps ÷ one app, medians", value=many / one, unit="times", goal=1.5),
    ]  # fmt: skip
