"""Releases that are worse, or not, under a steady load through a real nginx: each verdict, and how
many visitors met an error until it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.stack import Stack, stack
from tests.traffic.client import ask
from tests.waiting import eventually
from tests.watching.shop import (
    SHOP,
    begun,
    in_phase,
    outcome,
    released,
    told,
    write_release,
    write_shop,
)
from tests.watching.visitors import CONNECTIONS, Visitors

RATE = 200.0  # requests a second
WATCH = '[watch]\nfor = "{}"\nmax_error_rate = "1%"\n{}'


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """One host for all of them, with v1 serving: each leaves what serves well behind."""
    async with stack() as built:
        write_release(built, "v1", delay=0.02)
        write_shop(built, WATCH.format("0s", ""))
        await built.serve()
        assert (await released(built, "v1"))["state"] == "succeeded"
        yield built


async def watch_by(shop: Stack, seconds: str, more: str = "", *, healthy_for: str = "0.5s") -> None:
    write_shop(shop, WATCH.format(seconds, more), healthy_for=healthy_for)
    await shop.reload()


def say(load: Visitors, version: str, ended: Any) -> None:
    """What a person wants to know of a verdict."""
    met, of = len(load.failed()), len(load.met)
    why = ended["error"]["message"] if ended["error"] else "it stays"
    print(f"{version}: {met} of {of} visitors met an error; {why}")


def visitors(shop: Stack, *, slow: bool = False) -> Visitors:
    """With ``slow`` so many that the rate is kept up though each waits for half a second."""
    return Visitors(shop.listen[SHOP], RATE, CONNECTIONS * 4 if slow else CONNECTIONS)


async def test_one_that_fails_for_some_is_switched_back(shop: Stack) -> None:
    await watch_by(shop, "30s")
    write_release(shop, "errors", errors=0.05, delay=0.02)
    async with visitors(shop).coming() as load:
        ended = await released(shop, "errors")
    say(load, "errors", ended)
    assert ended["state"] == "rolled_back"
    assert re.search(r"% of \d+ requests failed \(limit 1 %\)$", ended["error"]["message"])
    assert not load.failed("v1")
    assert 0 < len(load.failed()) < 30
    assert shop.marker(SHOP) == "blue"
    watch = next(phase for phase in ended["phases"] if phase["phase"] == "watch")
    assert watch["data"]["before"]["requests"] > 100
    assert watch["data"]["before"]["error_rate"] == 0
    plan = (await shop.ask("GET", f"/v1/apps/{SHOP}/plan?version=errors"))[1]
    marked = f"errors was switched back in operation {ended['id']} ({ended['error']['message']}), "
    assert plan["warnings"][0].startswith(marked + "and is not tried again by a trigger")


async def test_one_that_leaks_errors_later_is_switched_back_then(shop: Stack) -> None:
    """After half a minute, in which it has answered thousands well: those do not hide it."""
    await watch_by(shop, "60s")
    write_release(shop, "leaks", errors=0.05, after=30, delay=0.02)
    async with visitors(shop).coming() as load:
        ended = await released(shop, "leaks")
    say(load, "leaks", ended)
    assert ended["state"] == "rolled_back"
    assert len([one for one in load.met if one.version == "leaks"]) > 3000
    assert len(load.failed()) < 60
    events = told(shop, ended["id"])
    assert {slot for event in events for slot in event["slots"]} == {"blue", "green"}


async def test_one_that_is_a_fifth_slower_is_switched_back(shop: Stack) -> None:
    # A tenth of a second is more than what a busy host adds by chance, mostly.
    write_release(shop, "even", delay=0.5)
    write_release(shop, "slower", delay=0.6)
    await watch_by(shop, "0s")
    assert (await released(shop, "even"))["state"] == "succeeded"
    await watch_by(shop, "30s", "max_p99_ratio = 1.05", healthy_for="1.5s")
    async with visitors(shop, slow=True).coming() as load:
        await eventually(lambda: len(load.met) > 50, "answers come as steadily as visitors")
        ended = await released(shop, "slower")
    say(load, "slower", ended)
    assert ended["state"] == "rolled_back"
    assert "1.05 times the" in ended["error"]["message"]
    assert not load.failed()


async def test_one_that_is_well_stays_whatever_becomes_of_the_socket(shop: Stack) -> None:
    """Flooded with nonsense, full since nobody reads, gone with its daemon, and there again."""
    await watch_by(shop, "8s", 'max_p99 = "5s"')  # long enough for the next daemon to see some
    write_release(shop, "well", delay=0.02)
    stopped = asyncio.Event()
    async with visitors(shop, slow=True).coming() as load:
        await eventually(lambda: load.met, "the first are answered")
        operation = (await begun(shop, "well"))["id"]
        await in_phase(shop, "watch")
        await asyncio.to_thread(flood, shop)
        shop.signal(signal.SIGSTOP)
        with contextlib.suppress(TimeoutError):  # the kernel has room for little of that time
            await asyncio.wait_for(stopped.wait(), 0.3)
        await shop.kill()
        came = len(load.met)
        await eventually(lambda: len(load.met) > came + 20, "visitors come on")
        await shop.serve()
        ended = await outcome(shop, operation)
    say(load, "well", ended)
    assert not load.failed()
    assert ended["state"] == "succeeded"
    watch = next(phase for phase in ended["phases"] if phase["phase"] == "watch")["data"]
    assert watch["judged"]
    assert watch["requests"] > 100
    assert watch["before"]["requests"]  # as the daemon before it has seen
    events = told(shop, operation)
    judged = next(event["judged"] for event in events if event["judged"])
    assert judged["limits"] == {"error_rate": 0.01, "p99": 5.0}
    assert not (shop.layout.app(SHOP).traffic / "special").exists()


def flood(shop: Stack) -> None:
    """With what no nginx sends, and so much at once that the socket is full. Blocking."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.connect(str(shop.layout.watch_socket))
        sender.setblocking(False)
        for number in range(20_000):
            with contextlib.suppress(BlockingIOError):
                sender.send(b"<190>Nov 29 12:44:36 bluegreen: %d" % number)


@pytest.mark.parametrize(("on_few", "state"), [("pass", "succeeded"), ("fail", "rolled_back")])
async def test_three_requests_judge_nothing(shop: Stack, on_few: str, state: str) -> None:
    await watch_by(shop, "2s", f'on_few = "{on_few}"')
    write_release(shop, f"quiet-{on_few}", errors=0.4)
    operation = (await begun(shop, f"quiet-{on_few}"))["id"]
    await in_phase(shop, "watch")
    answers = [(await ask(shop.listen[SHOP])).status for _ in range(3)]
    ended = await outcome(shop, operation)
    failed = sum(status != 200 for status in answers)
    print(f"quiet-{on_few}: {failed} of {len(answers)} visitors met an error; {ended['state']}")
    assert answers == [200, 200, 500]  # a third of them
    assert ended["state"] == state
    said = str(ended["error"]) + str(told(shop, operation, "warning"))
    assert "3 requests came, too few to judge it by (min_requests is 20)" in said


async def test_numbers_of_others_count(shop: Stack) -> None:
    metrics = """
[[watch.metrics]]
name = "silent"
max = 1
http = { url = "http://127.0.0.1:9/metric/{slot}", params = { query = "up{{a}}" }, value = "a.0" }
[[watch.metrics]]
name = "orders"
service = "api"
min = 5
interval = "0.1s"
command = { run = "echo 3" }
"""
    await watch_by(shop, "30s", metrics)
    write_release(shop, "counted")
    ended = await released(shop, "counted")
    assert ended["state"] == "rolled_back"
    assert ended["error"]["message"].endswith("metric orders is 3, 3 times in a row (min 5)")
