from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from bluegreen.config.questions import Probe
from bluegreen.config.watch_section import Watch
from bluegreen.errors import GateError
from bluegreen.health.watch import keep_watch
from bluegreen.model import Address
from tests.health.conftest import Serve
from tests.health.slot import FakeSlot
from tests.health.test_gate import HTTP, Server, running
from tests.waiting import eventually

PROBE = Probe.model_validate(HTTP)


def watch(**settings: Any) -> Watch:
    return Watch.model_validate({"for": "1s", "interval": "20ms", **settings})


async def keep(slot: FakeSlot, settings: Watch, *probes: Probe, seconds: float) -> None:
    await keep_watch(slot.target, settings, probes, seconds=seconds, on_result=slot.results.append)


@pytest.fixture
async def server(slot: FakeSlot, serve: Serve) -> Server:
    server = Server()
    slot.addresses["api"] = await serve(server.answer)
    return server


async def test_a_release_that_stays_well_is_watched_for_its_time(
    slot: FakeSlot, server: Server
) -> None:
    began = time.monotonic()
    await keep(slot, watch(), PROBE, seconds=0.3)
    assert time.monotonic() - began >= 0.3
    assert server.asked
    assert slot.results


@pytest.mark.parametrize("seconds", [0.0, -5.0])
async def test_with_no_time_left_each_probe_is_still_asked_once(
    slot: FakeSlot, server: Server, seconds: float
) -> None:
    await keep(slot, watch(interval="1h"), PROBE, seconds=seconds)
    assert server.asked == 1


@pytest.mark.parametrize("seconds", [0.0, 0.05])
async def test_its_time_is_not_over_while_the_last_answer_was_bad(
    slot: FakeSlot, server: Server, seconds: float
) -> None:
    server.status = lambda _: 500
    with pytest.raises(GateError, match="3 times in a row"):
        await keep(slot, watch(interval="40ms", failures=3), PROBE, seconds=seconds)


async def test_a_bad_answer_at_its_end_may_still_be_followed_by_a_good_one(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda asked: 500 if asked < 2 else 200
    await keep(slot, watch(failures=3), PROBE, seconds=0.0)
    assert server.asked == 2


async def test_fewer_failures_in_a_row_than_allowed_are_borne(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda asked: 200 if asked % 3 == 0 else 500
    async with running(keep(slot, watch(failures=3), PROBE, seconds=3600)) as watching:
        await eventually(lambda: server.asked > 9, "the probe has been answered ten times")
        assert not watching.done()


async def test_failures_in_a_row_end_the_watch(slot: FakeSlot, server: Server) -> None:
    server.status = lambda asked: 200 if asked < 3 else 500
    with pytest.raises(GateError) as caught:
        await keep(slot, watch(failures=3), PROBE, seconds=3600)
    assert caught.value.message.startswith(
        "shop v2 in green: ill while watched, 3 times in a row: "
        "service api: http /health: HTTP 500: answer (failed 3 of 5 attempts in "
    )
    assert caught.value.detail[-1] == "api | line 30 of api"
    assert "Nothing was switched" not in caught.value.remedy
    assert server.asked == 5


@pytest.mark.parametrize("trouble", ["crash", "restart"])
async def test_a_service_that_ends_or_restarts_ends_the_watch_at_once(
    slot: FakeSlot, server: Server, trouble: str
) -> None:
    async with running(keep(slot, watch(interval="1h"), PROBE, seconds=3600)) as watching:
        await eventually(lambda: server.asked == 1, "the probe has been answered once")
        getattr(slot, trouble)()
        async with asyncio.timeout(30):
            with pytest.raises(GateError, match=r"service api (ended|restarted): exit status 1"):
                await watching
    assert server.asked == 1


async def test_without_probes_of_its_own_it_watches_that_services_accept(
    slot: FakeSlot, server: Server
) -> None:
    slot.add("web", Address(socket=slot.root / "web.sock"))
    slot.pids["web"] = frozenset()
    with pytest.raises(GateError, match="service web: tcp: connection refused"):
        await keep(slot, watch(), PROBE, seconds=3600)


async def test_with_probes_of_its_own_it_asks_those_only(slot: FakeSlot, server: Server) -> None:
    slot.add("web", Address(socket=slot.root / "web.sock"))
    await keep(slot, watch(probes=[HTTP]), PROBE, seconds=0.1)
    assert {result.service for result in slot.results} == {"api"}
    assert server.asked


async def test_an_attempt_under_way_at_the_end_is_given_up(slot: FakeSlot, server: Server) -> None:
    server.after = 1
    patient = Probe.model_validate({**HTTP, "timeout": "1h"})
    async with asyncio.timeout(60):
        await keep(slot, watch(), patient, seconds=1.0)
    assert server.asked == 2
