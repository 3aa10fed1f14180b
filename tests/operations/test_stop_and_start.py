"""Out of service and back, where that is cut short."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

import aiohttp
import pytest

from tests.operations.agreement import agreement
from tests.operations.asking import history_of, status_of
from tests.operations.killing import APP, Point, kill_at, kill_service
from tests.operations.test_cancel import in_phase
from tests.operations.test_left_alone import api_pid
from tests.operations.test_releases import visitors
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import eventually


async def test_a_cancelled_stop_leaves_an_app_in_service_that_had_once_restarted(
    deployed: Stack,
) -> None:
    slot = deployed.marker()
    pid = await api_pid(deployed, slot)
    kill_service(deployed, slot, "api")

    async def runs_again() -> bool:
        return (
            await api_pid(deployed, slot) not in (None, pid) and (await visit(deployed))[0] == 200
        )

    await eventually(runs_again, "the API was restarted")
    terminal = f"{deployed.url()}/ws/terminal"
    async with aiohttp.ClientSession() as session, session.ws_connect(terminal):
        # For its sake the services run on.
        stopping = asyncio.create_task(deployed.cli("stop", "monitor"))
        await in_phase(deployed, "stop")
        assert (await deployed.cli("cancel", "monitor")).status == 0
        assert (await stopping).status == 1
    assert await served_version(deployed) == "v1"


async def test_a_cancelled_stop_says_what_stays_out_of_service(empty: Stack) -> None:
    empty.write_app(services=("api",), watch="0.1s", stop_timeout="30s")
    await empty.serve()
    await empty.deploy("v3-ignores-sigterm")
    stopping = asyncio.create_task(empty.cli("stop", "monitor"))
    await eventually(lambda: is_stopping(empty), "the API has been told to end")
    assert (await empty.cli("cancel", "monitor")).status == 0
    answer = await stopping
    assert answer.status == 1
    assert (await visit(empty))[0] == 503
    assert "stays out of service" in answer.out, answer


async def is_stopping(stack: Stack) -> bool:
    (state,) = {
        service["state"]
        for service in (await status_of(stack))["slots"][stack.marker()]["services"].values()
    }
    return bool(state == "stopping")


@pytest.mark.parametrize("left", ["hot", "starting"])
async def test_a_start_that_had_opened_the_site_lets_nobody_down_when_it_is_carried_on(
    deployed: Stack, left: str
) -> None:
    assert (await deployed.cli("stop", "monitor")).status == 0
    opened = Point(step="unlink */traffic/special/closed", moved=False, ends="succeeded")
    await kill_at(deployed, opened, f"{APP}/start", {})
    if left == "starting":  # a daemon that opened first, and recorded then
        with closing(sqlite3.connect(deployed.layout.database)) as store:
            store.execute(
                "UPDATE slots SET state = 'starting', gated_by = NULL WHERE slot = 'blue'"
            )
            store.commit()
    async with visitors(deployed):
        await deployed.serve()
        await agreement(deployed)
    newest, *_ = await history_of(deployed)
    assert (newest["kind"], newest["state"]) == ("start", "succeeded")
