"""Requests held by hand: through the commands, and over the deaths of the daemon."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import re
import signal
import time
from typing import Any

import aiohttp
import pytest

from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.errors import TrafficError
from bluegreen.gate import hold_file
from bluegreen.traffic.gate import HostGate
from tests.marks import marker_names
from tests.operations.asking import ask, status_of
from tests.operations.killing import QUICK
from tests.stack import Stack
from tests.waiting import eventually

APP = "/v1/apps/monitor"
CONNECTIONS = 16


@pytest.fixture
async def both(empty: Stack) -> Stack:
    """v1 is hot in blue, v2 serves in green."""
    empty.write_app(**QUICK)
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    return empty


def load(stack: Stack, **options: Any) -> Load:
    settings = {"connections": CONNECTIONS, "websockets": 2, "downloads": 2, **options}
    return Load(LoadSettings(url=stack.url(), timeout=40.0, **settings))


async def waiting(stack: Stack) -> int:
    try:
        return (await HostGate(stack.layout).ask("monitor")).waiting
    except TrafficError:
        return -1


async def until_all_wait(stack: Stack, visitors: int = CONNECTIONS) -> None:
    async def all_wait() -> bool:
        return await waiting(stack) >= visitors

    await eventually(all_wait, "the visitors wait")


def end_in(stack: Stack, seconds: float) -> float:
    """Let the hold have its limit then, without a daemon that would see to it; in Unix seconds."""
    special = stack.layout.app("monitor").traffic / hold_file.SPECIAL
    hold = hold_file.read(special)
    assert hold is not None
    until = time.time() + seconds
    new = special / "new"
    new.write_text(hold_file.encode(dataclasses.replace(hold, until=until)))
    new.rename(special / hold_file.HOLD)
    return until


async def version(stack: Stack) -> tuple[int, str]:
    """The status, and the version that answers."""
    timeout = aiohttp.ClientTimeout(total=60)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(stack.url() + "/api/health") as response,
    ):
        document = await response.json() if response.status == 200 else {}
        return response.status, document.get("version", "")


async def post(stack: Stack, what: str, body: dict[str, Any] | None = None) -> Any:
    status, document = await ask(stack, "POST", f"{APP}/{what}", body or {})
    assert status == 200, document
    return document


async def test_visitors_wait_over_a_switch_and_none_is_let_down(both: Stack) -> None:
    async with load(both) as visitors:
        await visitors.ready()
        said = await both.cli("hold", "monitor", "--timeout", "1m")
        assert (said.status, said.err) == (0, "")
        assert "monitor: new requests wait, for 1 min at the most." in said.out
        await until_all_wait(both)
        seen = await both.cli("status", "monitor")
        assert "monitor: traffic on green, held" in seen.out
        held = r"  held: new requests wait, since \d+ s ago, for \d+\.\d s more at the most \(uid "
        assert re.search(held, seen.out)
        assert (await both.cli("switch", "back")).status == 0
        assert await waiting(both) >= CONNECTIONS
        said = await both.cli("release", "monitor")
        assert said.status == 0
        assert re.fullmatch(
            r"monitor: requests were held for [\d.]+ m?s, and are let through\n", said.out
        )
        assert await version(both) == (200, "v1")
        report = await visitors.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
    assert (await status_of(both))["held"] is None


async def test_what_takes_a_release_or_the_app_away_is_refused_meanwhile(both: Stack) -> None:
    await post(both, "hold", {"timeout": 600})
    for what in (["deploy", "monitor", "v1"], ["restart", "monitor"], ["stop", "monitor"],
                 ["rollback", "monitor"]):  # fmt: skip
        said = await both.cli(*what)
        assert said.status == 4
        assert re.match(
            r"bluegreen: requests of monitor are held by uid \d+ \(.*\), since [\d: -]+, until "
            r"[\d: -]+ at the latest\nNext: let them through first: bluegreen release monitor\n",
            said.err,
        )
    await post(both, "release")
    said = await both.cli("release")
    assert said.status == 1
    assert "the requests of monitor are not held" in said.err
    await both.deploy("v1")


async def test_a_hold_is_refused_while_an_operation_runs_and_for_a_wrong_time(both: Stack) -> None:
    both.write_app(**{**QUICK, "healthy_for": "30s", "deadline": "60s"})
    await both.reload()
    begun = await both.cli("deploy", "monitor", "v1", "--detach")
    assert begun.status == 0
    said = await both.cli("hold", "monitor")
    assert said.status == 4
    assert "deploy" in said.err
    await both.cli("cancel", "monitor")
    for wrong, right in (("soon", '"30s"'), ("0s", "more than 0s"), ("2h", "at most 1 h")):
        said = await both.cli("hold", "monitor", "--timeout", wrong)
        assert said.status == 2
        assert right in said.err
    assert (await status_of(both))["held"] is None


async def test_the_daemon_ends_a_hold_at_its_limit(both: Stack) -> None:
    async with load(both) as visitors:
        await visitors.ready()
        await post(both, "hold", {"timeout": 0.5})

        async def is_over() -> bool:
            return (await status_of(both))["held"] is None

        await eventually(is_over, "the hold has ended")
        assert await version(both) == (200, "v2")
        report = await visitors.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
    assert marker_names(both.layout.app("monitor").traffic) == {"green"}


async def test_a_killed_daemon_leaves_visitors_waiting_and_the_next_one_lets_them_through(
    both: Stack,
) -> None:
    async with load(both) as visitors:
        await visitors.ready()
        await post(both, "hold", {"timeout": 60})
        await until_all_wait(both)
        gate = both.gate_processes()
        await both.kill()
        assert await waiting(both) >= CONNECTIONS
        await both.serve()
        assert (await status_of(both))["held"] is not None
        assert await waiting(both) >= CONNECTIONS
        await post(both, "switch", {"to": "back"})
        await post(both, "release")
        assert await version(both) == (200, "v1")
        report = await visitors.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
    assert both.gate_processes() == gate


async def test_without_a_daemon_visitors_are_let_through_at_the_limit(both: Stack) -> None:
    async with load(both) as visitors:
        await visitors.ready()
        await post(both, "hold", {"timeout": 60})
        await until_all_wait(both)
        await both.kill()
        assert await waiting(both) >= CONNECTIONS
        end_in(both, 0.5)
        assert await version(both) == (200, "v2")
        report = await visitors.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
    # The next daemon ends what is over.
    await both.serve()

    async def is_over() -> bool:
        return (await status_of(both))["held"] is None

    await eventually(is_over, "the hold has ended")


async def test_without_a_daemon_the_other_slot_serves_where_that_alone_answers(
    both: Stack,
) -> None:
    await post(both, "hold", {"timeout": 60})
    visitor = asyncio.create_task(version(both), name="a visitor")
    await until_all_wait(both, 1)
    await both.kill()
    for name in ("web", "api", "terminal"):
        record = both.layout.process_records / f"unit-monitor.green.{name}.json"
        (leader,) = both._recorded_in([record])[:1]
        os.killpg(leader.pid, signal.SIGKILL)
    over = end_in(both, 0.5)
    assert await visitor == (200, "v1")
    assert time.time() >= over
    assert both.marker() == "green"


async def test_a_daemon_that_ends_leaves_a_hold_and_with_its_apps_it_ends_the_gate(
    both: Stack,
) -> None:
    await post(both, "hold", {"timeout": 60})
    assert await both.terminate() == 0
    assert both.gate_processes() != []
    await both.serve("--stop-apps")
    assert (await status_of(both))["held"] is not None
    await post(both, "release")
    assert await both.terminate() == 0
    assert both.gate_processes() == []
