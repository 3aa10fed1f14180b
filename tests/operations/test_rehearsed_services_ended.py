"""Services that run on a copy of the data end with their operation, however that ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import psutil
import pytest
import pytest_asyncio

from bluegreen.processes import ProcessIdentity, is_alive
from tests.operations.agreement import agreement
from tests.operations.data import servers
from tests.operations.killing import Point, points
from tests.operations.migrations import (
    FAIL_ON,
    SCENARIO,
    last,
    rehearsals,
    rehearsed_processes,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.test_migrations_killed import killed
from tests.stack import Stack, stack
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

# It is in this step that the services are known to run.
WAITS = """
[[gate.smoke]]
name = "waits"
service = "api"
timeout = "60s"
command = { run = "sleep 60" }
"""
AT_START = {"MONITOR_MIGRATES_AT_START": "1"}
STARTED = points(
    "after rename run/bluegreen/processes/job-monitor-*-rehearse-new-api*",
    "after rename run/bluegreen/processes/job-monitor-*-rehearse-old-api*",
    moved=False,
    ends="interrupted",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, section() + SCENARIO)
        await rewrite(built, section() + SCENARIO + WAITS)
        yield built


@dataclass
class Rehearsing:
    """A deploy whose old version runs on the copy: the processes that lead its services."""

    deploying: asyncio.subprocess.Process
    leaders: list[ProcessIdentity]


async def rehearsing(stack: Stack, version: str) -> Rehearsing:
    deploying = await stack.start_cli("deploy", version)
    # It is recorded before it runs: whoever kills the daemon in between keeps it from that.
    await eventually(lambda: "sleep" in names(stack), "the scenario has come to its step")
    leaders = [
        ProcessIdentity(**json.loads(path.read_text())["session"]["leader"])
        for path in stack.layout.process_records.glob("job-monitor-*-rehearse-old-*.json")
    ]
    assert len(leaders) == 3
    assert all(map(is_alive, leaders))
    return Rehearsing(deploying, leaders)


def names(stack: Stack) -> set[str]:
    """Of what runs of that stack."""
    found = set()
    for member in stack.live_processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            found.add(psutil.Process(member.pid).name())
    return found


def is_as_it_was(stack: Stack, leaders: list[ProcessIdentity]) -> None:
    assert not any(map(is_alive, leaders))
    assert not rehearsals(stack)
    assert not rehearsed_processes(stack)
    assert "audit_logs" not in schema(stack)
    assert set(servers(stack)) == {"old one", "first"}


async def test_cancelled_it_leaves_nothing(shop: Stack) -> None:
    under_way = await rehearsing(shop, "v4-notes")
    answer = await shop.cli("cancel")
    assert answer.status == 0, answer.err
    await under_way.deploying.communicate()
    assert (await last(shop))["state"] == "cancelled"
    is_as_it_was(shop, under_way.leaders)


async def test_after_sigkill_of_the_daemon_the_next_one_ends_it(shop: Stack) -> None:
    under_way = await rehearsing(shop, "v4-notes")
    await shop.kill()
    assert all(map(is_alive, under_way.leaders))
    await shop.serve()
    await agreement(shop)
    await under_way.deploying.communicate()
    assert (await last(shop))["state"] == "interrupted"
    is_as_it_was(shop, under_way.leaders)


@pytest.mark.parametrize("point", STARTED, ids=str)
async def test_killed_as_a_release_starts_on_the_copy(point: Point) -> None:
    async with stack() as built:
        await serve(built, section(FAIL_ON) + SCENARIO, env=AT_START)
        await killed(built, point, "deployments", {"version": "v4-notes"})
        assert "audit_logs" not in schema(built)
