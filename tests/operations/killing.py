"""Kills a daemon at a named point of what it does, and starts it again."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import aiohttp

from bluegreen.config.placeholders import build_cache
from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.model import PhaseName
from bluegreen.processes import ProcessIdentity, is_alive
from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, is_idle, status_of
from tests.operations.ledger import Ledger
from tests.operations.standstill import Standstill, held, killed_before_rename_of
from tests.stack import Answer, Stack, stack
from tests.waiting import eventually

APP = "/v1/apps/monitor"
QUICK: dict[str, Any] = {
    "services": ("web", "api", "terminal"), "watch": "0.5s", "healthy_for": "0.2s",
    "interval": "0.2s",
}  # fmt: skip
# So that a deploy goes through its phase measure, too.
INTACT = """
[[gate.unchanged]]
sqlite = "data/servers.db"
query = "SELECT COUNT(*) FROM users"
"""
# What a release does not go through that holds no requests, and waits for nobody.
LEFT_OUT = frozenset({
    PhaseName.HOLD, PhaseName.DRAIN, PhaseName.RELEASE, PhaseName.PROMOTE, PhaseName.STEPS,
})  # fmt: skip
ENDS = ("succeeded", "failed", "rolled_back", "cancelled", "superseded", "interrupted")


@dataclass(frozen=True, kw_only=True)
class Point:
    """Where the daemon is killed.

    ``step`` is what the store says (``gate intent``, ``slot * hot``) or a pattern for a call and
    a path of the root (``rename */slots/green``). Killed ``before`` a commit, the daemon has done
    all that comes before it and the commit is lost, as in a power cut.
    """

    step: str
    before: bool = False
    built: bool = False  # whether it comes after the build of a deploy
    since: str | None = None  # a step that has to come first
    relapse: bool = False  # the api of green is killed at that first step
    moved: bool  # whether traffic has moved by then
    ends: str | None  # the state of the operation after recovery; None: nobody knows of it

    def __str__(self) -> str:
        return f"{'before' if self.before else 'after'} {self.step}"


def points(*steps: str, **rest: Any) -> list[Point]:
    """``before X``, ``after X`` or ``around X``, which is both."""
    found = []
    for text in steps:
        when, _, step = text.partition(" ")
        moments = {"before": [True], "after": [False], "around": [True, False]}[when]
        found += [Point(step=step, before=before, **rest) for before in moments]
    return found


@contextlib.asynccontextmanager
async def beginning(
    stack: Stack, path: str, body: dict[str, Any], *, built: bool
) -> AsyncIterator[Callable[[], Coroutine[None, None, None]]]:
    """What POSTs ``body`` to ``path``, for when the daemon is followed.

    To be followed step by step makes a daemon slow. Where what is looked for comes after the build
    of a deploy, that is asked for at once and gets as far as its build, which goes on when it is
    called. A named pipe does that: the build finds it, empty, in the place of its cache.
    """
    if not built:
        yield lambda: _posted(stack, path, body)
        return
    cache = build_cache(stack.layout.app("monitor")) / "monitor-assets.json"
    cache.unlink(missing_ok=True)
    os.mkfifo(cache)
    await _posted(stack, path, body)

    def opened() -> int | None:
        try:
            return os.open(cache, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return None  # nobody reads yet

    with contextlib.ExitStack() as building:
        building.callback(os.close, await eventually(opened, "the build looks at its cache"))

        async def go_on() -> None:
            building.close()

        yield go_on


async def kill_at(stack: Stack, point: Point, path: str, body: dict[str, Any]) -> None:
    """POST ``body`` to ``path`` and kill the daemon at ``point`` of what follows.

    AssertionError when the operation ends without ever coming there.
    """
    async with beginning(stack, path, body, built=point.built) as begin:
        await _kill_at(stack, point, begin)


async def _kill_at(
    stack: Stack, point: Point, begin: Callable[[], Coroutine[None, None, None]]
) -> None:
    if point.before and point.step.startswith("rename traffic/"):
        marker = stack.layout.app("monitor").traffic / point.step.rpartition("/")[2]
        async with killed_before_rename_of(stack, marker):
            await begin()
            if point.relapse:
                await eventually(lambda: is_watched(stack), "the release is watched")
                kill_service(stack, "green", "api")
        return
    with tempfile.TemporaryDirectory() as scratch:
        ledger = await asyncio.to_thread(Ledger, stack.layout.database, Path(scratch))
        async with held(stack) as standstill:
            asking = asyncio.create_task(begin(), name="what the daemon is asked for")
            await come_to(point, stack, standstill, ledger)
            await stack.kill()
        await asking
        if point.before:
            await asyncio.to_thread(ledger.lose_latest)


async def _posted(stack: Stack, path: str, body: dict[str, Any]) -> None:
    with contextlib.suppress(aiohttp.ClientError):  # the daemon dies before it answers
        status, document = await ask(stack, "POST", path, body)
        assert status < 300, document


async def come_to(point: Point, stack: Stack, standstill: Standstill, ledger: Ledger) -> None:
    seen: list[str] = []
    waiting = point.since is not None
    while True:
        steps = await standstill.next()
        now = [f"{s.call} {s.path.relative_to(stack.root)}" for s in steps if s.call != "fdatasync"]
        if len(now) < len(steps):
            now += await asyncio.to_thread(ledger.news)
        if waiting and point.since in now:
            waiting = False
            if point.relapse:
                kill_service(stack, "green", "api")
        if not waiting and any(fnmatch(step, point.step) for step in now):
            return
        seen += now
        ended = [step for step in now if step in [f"operation {state}" for state in ENDS]]
        assert not ended, f"the operation has ended and never came to {point}: {seen}"
        standstill.go_on()


async def is_watched(stack: Stack) -> bool:
    operation = (await status_of(stack))["operation"]
    return operation is not None and operation["phase"] == "watch"


def kill_service(stack: Stack, slot: str, service: str) -> None:
    """SIGKILL the first process of a service."""
    record = stack.layout.process_records / f"unit-monitor.{slot}.{service}.json"
    leader = ProcessIdentity(**json.loads(record.read_text())["session"]["leader"])
    assert is_alive(leader)
    os.kill(leader.pid, signal.SIGKILL)


async def relapse(stack: Stack, version: str, *, service: str = "api") -> Answer:
    """Deploy ``version``, and kill a service of it once it is watched; how the command ended."""
    deploying = asyncio.create_task(
        stack.cli("deploy", "monitor", version), name="deploy one that falls ill"
    )

    async def has_come_there() -> bool:
        return deploying.done() or await is_watched(stack)

    await eventually(has_come_there, "the release is watched")
    assert not deploying.done(), deploying.result()
    kill_service(stack, stack.marker(), service)
    return await deploying


class Trial:
    """A deployed app whose daemon is killed again and again, under a load that outlives it all.

    v1 serves in blue, v2 is hot in green.
    """

    def __init__(self, built: Stack, load: Load | None) -> None:
        self.stack = built
        self._load = load

    async def kill_and_recover(self, point: Point, path: str, body: dict[str, Any]) -> None:
        """All that must hold, whatever the point."""
        visits = self._visits()
        newest = (await history_of(self.stack))[0]["id"]
        origin = self.stack.marker()
        await kill_at(self.stack, point, path, body)
        await self.stack.serve()
        status = await agreement(self.stack)
        assert (status["active"] != origin) == point.moved
        operation = (await history_of(self.stack))[0]
        if point.ends is None:
            assert operation["id"] == newest, operation
        else:
            assert (operation["id"], operation["state"]) == (newest + 1, point.ends), operation
        self.expect_nobody_let_down()
        if not point.moved:
            assert (self._visits() - visits).keys() <= {origin}, "an ungated slot has served"

    async def back_to(self, slot: str) -> None:
        """Switch back, if traffic is not on ``slot``."""
        if self.stack.marker() == slot:
            return
        status, answer = await ask(self.stack, "POST", f"{APP}/switch", {"to": "back"})
        assert status == 200, answer
        await agreement(self.stack)
        assert self.stack.marker() == slot
        self.expect_nobody_let_down()

    async def rewrite(self, **options: Any) -> None:
        """Let the app's file say something else from now on."""
        self.stack.write_app(**QUICK | options)
        await self.stack.reload()

    async def request(self, what: str) -> None:
        """POST ``stop``, ``start``, …, and wait for its end."""
        status, answer = await ask(self.stack, "POST", f"{APP}/{what}", {})
        assert status == 202, answer
        await eventually(lambda: is_idle(self.stack), f"{what} has ended")

    def _visits(self) -> Counter[str]:
        """How often each slot has answered the load."""
        visits: Counter[str] = Counter()
        for (slot, _), count in self._load.snapshot().served.items() if self._load else ():
            visits[slot] += count
        return visits

    def expect_nobody_let_down(self) -> None:
        if self._load is not None:
            assert self._load.report().failures == ()


@contextlib.asynccontextmanager
async def trial(*, loaded: bool = True, **options: Any) -> AsyncIterator[Trial]:
    """A trial with the sample app's file written with ``options``, and a load if ``loaded``."""
    async with stack() as built:
        built.write_app(**QUICK | options)
        await built.serve()
        for version in ("v1", "v2"):
            await built.deploy(version)
        assert (await built.cli("switch", "back")).status == 0
        if not loaded:
            yield Trial(built, None)
            return
        settings = LoadSettings(
            url=built.url(), connections=3, websockets=1, downloads=1,
            think=0.02, download_bytes=40_000,
        )  # fmt: skip
        async with Load(settings) as load:
            await load.ready()
            yield Trial(built, load)
