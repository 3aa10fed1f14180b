from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web

from bluegreen.config.settings import Gate
from bluegreen.errors import GateError, StoreFullError
from bluegreen.health.gate import pass_gate
from bluegreen.model import Address, ProbeResult, UnitState
from tests.health.conftest import Accept, Serve, StartStranger
from tests.health.slot import FakeSlot
from tests.waiting import eventually

HTTP = {"service": "api", "interval": "20ms", "timeout": "5s", "http": {"path": "/health"}}


def gate(*probes: dict[str, Any], deadline: str = "20s", healthy_for: str = "200ms") -> Gate:
    return Gate.model_validate({"deadline": deadline, "healthy_for": healthy_for, "probes": probes})


class Server:
    """Answers 200 or what ``status`` says, and counts; or hangs ``after`` so many answers."""

    def __init__(self) -> None:
        self.status: Callable[[int], int] = lambda _: 200
        self.asked = 0
        self.after: int | None = None

    async def answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        if self.after is not None and self.asked > self.after:
            await asyncio.Event().wait()
        return web.Response(status=self.status(self.asked), text="answer")


@pytest.fixture
async def server(slot: FakeSlot, serve: Serve) -> Server:
    server = Server()
    slot.addresses["api"] = await serve(server.answer)
    return server


async def run_gate(slot: FakeSlot, gate: Gate, healthy_for: float | None = None) -> None:
    await pass_gate(slot.target, gate, healthy_for=healthy_for, on_result=slot.results.append)


async def refused(slot: FakeSlot, gate: Gate) -> GateError:
    with pytest.raises(GateError) as caught:
        await run_gate(slot, gate)
    return caught.value


@asynccontextmanager
async def running(awaitable: Awaitable[None]) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.ensure_future(awaitable)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_healthy_slot_passes_after_healthy_for(slot: FakeSlot, server: Server) -> None:
    began = time.monotonic()
    await run_gate(slot, gate(HTTP))
    assert time.monotonic() - began >= 0.2
    assert server.asked >= 2
    assert all(result.passed for result in slot.results)


async def test_the_end_of_the_window_does_not_wait_for_an_interval(
    slot: FakeSlot, server: Server
) -> None:
    async with asyncio.timeout(60):
        await run_gate(slot, gate({**HTTP, "interval": "1h"}))
    # Once at the start and once more at the end of the window: that is the proof of it.
    assert server.asked == 2


async def test_with_healthy_for_0_one_pass_is_enough(slot: FakeSlot, server: Server) -> None:
    await run_gate(slot, gate(HTTP), healthy_for=0)
    assert server.asked == 1


async def test_a_service_that_the_release_was_not_started_with_is_not_probed(
    slot: FakeSlot, server: Server
) -> None:
    await run_gate(slot, gate(HTTP, {**HTTP, "service": "added"}), healthy_for=0)
    assert {result.service for result in slot.results} == {"api"}


async def test_a_failure_in_the_window_starts_it_again(slot: FakeSlot, server: Server) -> None:
    server.status = lambda asked: 500 if asked == 2 else 200
    failed_at = 0.0

    def note(result: ProbeResult) -> None:
        nonlocal failed_at
        if not result.passed:
            failed_at = time.monotonic()

    await pass_gate(slot.target, gate(HTTP), on_result=note)
    assert failed_at
    assert time.monotonic() - failed_at >= 0.2


async def test_a_failure_at_the_very_end_of_the_window_starts_it_again(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda asked: 500 if asked == 2 else 200
    await run_gate(slot, gate({**HTTP, "interval": "300ms"}))
    assert [result.passed for result in slot.results][:2] == [True, False]
    assert server.asked >= 4


async def test_a_late_start_is_noticed_long_before_the_interval(
    slot: FakeSlot, serve: Serve, free_ports: Callable[[int], list[int]]
) -> None:
    (port,) = free_ports(1)
    slot.addresses["api"] = Address(port=port)
    check = gate({**HTTP, "interval": "1h"}, deadline="1m", healthy_for="0s")
    async with running(run_gate(slot, check)) as passing:
        await eventually(lambda: len(slot.results) >= 2, "two attempts have failed")
        assert not any(result.passed for result in slot.results)
        await serve(Server().answer, port=port)
        async with asyncio.timeout(30):
            await passing


async def test_a_slot_that_never_gets_healthy_is_refused_at_the_deadline(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda _: 503
    error = await refused(slot, gate(HTTP, deadline="1s"))
    assert error.message.startswith(
        "shop v2 in green: not healthy within 1 s: "
        "service api: http /health: HTTP 503: answer (failed "
    )
    assert error.detail == tuple(f"api | line {number} of api" for number in range(16, 31))
    assert error.remedy.startswith("Nothing was switched.")
    assert "`bluegreen logs shop --service api`" in error.remedy


async def test_every_failing_probe_is_listed_and_each_service_heard(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda _: 503
    slot.add("web", slot.addresses["api"])
    slot.add("stream", slot.addresses["api"])
    slot.logs["web"] = []
    json = {**HTTP, "name": "fields", "http": {"path": "/", "status": 503, "json": {"a": 1}}}
    fine = {**HTTP, "service": "stream", "http": {"path": "/", "status": 503}}
    error = await refused(
        slot, gate(HTTP, json, {**HTTP, "service": "web"}, fine, deadline="1500ms")
    )
    assert "service api: http /health: HTTP 503" in error.message
    also = [line for line in error.detail if line.startswith("also: ")]
    assert [line.split(" (")[0] for line in also] == [
        "also: service api: fields: 503, but body is not JSON: answer",
        "also: service web: http /health: HTTP 503: answer",
    ]
    assert "web | (it has logged nothing)" in error.detail
    assert not any(line.startswith("stream") for line in error.detail)


async def test_a_flapping_slot_is_refused_with_what_it_answered_in_between(
    slot: FakeSlot, server: Server
) -> None:
    server.status = lambda asked: 500 if asked % 3 == 0 else 200
    error = await refused(slot, gate(HTTP, deadline="1500ms", healthy_for="1s"))
    assert "service api: http /health: HTTP 500: answer (failed " in error.message


async def test_a_window_longer_than_what_is_left_is_said_to_be(
    slot: FakeSlot, server: Server
) -> None:
    error = await refused(slot, gate(HTTP, deadline="1s", healthy_for="10s"))
    assert "every probe passes, but not yet for 10 s; gate.deadline is too short" in error.message


async def test_a_hanging_server_is_refused_at_the_deadline_not_at_the_probes_timeout(
    slot: FakeSlot, accept: Accept
) -> None:
    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    slot.addresses["api"] = await accept(hang)
    async with asyncio.timeout(60):
        error = await refused(slot, gate({**HTTP, "timeout": "1h"}, deadline="1s"))
    assert (
        "not healthy within 1 s: service api: http /health: no answer yet after " in error.message
    )


async def test_a_server_that_hangs_in_the_window_does_not_pass(
    slot: FakeSlot, server: Server
) -> None:
    server.after = 1
    error = await refused(slot, gate({**HTTP, "timeout": "200ms"}, deadline="1500ms"))
    assert "no answer within 0.2 s" in error.message


async def test_a_service_that_ends_is_refused_at_once(slot: FakeSlot, server: Server) -> None:
    slot.add("worker")
    async with running(run_gate(slot, gate(HTTP, deadline="1h", healthy_for="30m"))) as passing:
        await eventually(lambda: server.asked > 1, "the probe has been answered twice")
        slot.crash("worker")
        async with asyncio.timeout(30):
            with pytest.raises(GateError, match="service worker ended: exit status 1") as caught:
                await passing
    assert caught.value.detail[-1] == "worker | line 30 of worker"


async def test_a_service_that_restarts_is_refused_though_it_runs_again(
    slot: FakeSlot, server: Server
) -> None:
    slot.restart()  # before the gate: does not count
    async with running(run_gate(slot, gate(HTTP, deadline="1h", healthy_for="30m"))) as passing:
        await eventually(lambda: server.asked > 1, "the probe has been answered twice")
        slot.restart()
        async with asyncio.timeout(30):
            with pytest.raises(GateError, match="service api restarted: exit status 1"):
                await passing


@pytest.mark.parametrize("state", [UnitState.STOPPED, UnitState.STOPPING])
async def test_a_service_that_does_not_run_is_refused_even_without_probes(
    slot: FakeSlot, state: UnitState
) -> None:
    slot.crash(state=state)
    error = await refused(slot, gate(healthy_for="0s"))
    assert f"service api does not run ({state}): exit status 1" in error.message


async def test_one_that_is_being_stopped_is_refused_with_what_became_of_it(
    slot: FakeSlot, server: Server
) -> None:
    async with running(run_gate(slot, gate(HTTP, deadline="1h", healthy_for="30m"))) as passing:
        await eventually(lambda: server.asked > 1, "the probe has been answered twice")
        slot.statuses["api"] = replace(slot.statuses["api"], state=UnitState.STOPPING)
        asked = server.asked
        await eventually(lambda: server.asked > asked + 2, "more probes have been answered")
        slot.crash(state=UnitState.STOPPED)
        async with asyncio.timeout(30):
            with pytest.raises(GateError, match=r"does not run \(stopped\): exit status 1"):
                await passing


async def test_a_worker_without_an_address_needs_only_to_run_on(slot: FakeSlot) -> None:
    await run_gate(slot, gate())
    assert slot.results == []


async def test_a_service_without_a_probe_must_accept_connections(
    slot: FakeSlot, server: Server, free_ports: Callable[[int], list[int]]
) -> None:
    slot.add("web", Address(port=free_ports(1)[0]))
    slot.pids["web"] = frozenset()
    error = await refused(slot, gate(HTTP, deadline="1s"))
    assert "service web: tcp: connection refused" in error.message
    assert server.asked


async def test_a_port_held_by_a_stranger_is_refused(
    slot: FakeSlot, free_ports: Callable[[int], list[int]], start_stranger: StartStranger
) -> None:
    (port,) = free_ports(1)
    slot.addresses["api"] = Address(port=port)
    pid = await start_stranger(port)
    error = await refused(slot, gate(HTTP, deadline="1s"))
    assert f"127.0.0.1:{port} belongs to pid {pid} (" in error.message


async def test_probes_of_all_services_run_at_once(slot: FakeSlot, serve: Serve) -> None:
    together = asyncio.Barrier(3)

    async def wait_for_the_others(_: web.Request) -> web.Response:
        await together.wait()
        return web.Response()

    probes = []
    for service in ("api", "web", "stream"):
        slot.add(service, await serve(wait_for_the_others))
        probes.append({**HTTP, "service": service})
    await run_gate(slot, gate(*probes), healthy_for=0)
    assert {result.service for result in slot.results} == {"api", "web", "stream"}


async def test_cancelled_it_leaves_no_probe_running(slot: FakeSlot, accept: Accept) -> None:
    connected = asyncio.Event()
    cut = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        connected.set()
        await reader.read()
        cut.set()

    slot.addresses["api"] = await accept(hang)
    before = asyncio.all_tasks()
    passing = asyncio.create_task(run_gate(slot, gate(HTTP)))
    async with asyncio.timeout(30):
        await connected.wait()
        passing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await passing
        assert not [each for each in asyncio.all_tasks() - before if "probe" in each.get_name()]
        await cut.wait()


async def test_what_the_listener_of_results_raises_ends_the_gate(
    slot: FakeSlot, server: Server
) -> None:
    def full(_: ProbeResult) -> None:
        raise StoreFullError("the disk is full", remedy="Make room.")

    with pytest.raises(StoreFullError):
        await pass_gate(slot.target, gate(HTTP), on_result=full)
    assert server.asked == 1


async def test_a_log_that_cannot_be_read_does_not_hide_the_refusal(
    slot: FakeSlot, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unreadable(_service: str, _lines: int) -> list[str]:
        raise PermissionError("no")

    monkeypatch.setattr(slot, "log_tail", unreadable)
    slot.crash()
    error = await refused(slot, gate(HTTP))
    assert "service api ended: exit status 1" in error.message
    assert error.detail == ("api | (its log could not be read: no)",)


async def test_each_instance_has_to_pass_and_a_finding_names_it(
    slot: FakeSlot, serve: Serve
) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.query["n"])
        return web.Response(status=503 if ill and request.query["n"] == "2" else 200)

    slot.addresses["api"] = await serve(answer)
    slot.add("api", await serve(answer), instance=2)
    slot.add("job")
    slot.add("job", instance=2)
    values = {**dict(slot.target.values["api"]), "instance": "1"}
    target = replace(slot.target, values=dict.fromkeys(("api", "job"), values))
    probe = {**HTTP, "http": {"path": "/health?n={instance}"}}
    command = {"service": "job", "interval": "1h", "command": {"run": "true"}}

    ill = False
    both = gate(probe, command)
    await pass_gate(target, both, healthy_for=0, on_result=slot.results.append)
    assert set(asked) == {"1", "2"}
    assert {one.service for one in slot.results} == {"api 1", "api 2", "job"}
    assert len(slot.jobs.jobs) == 1  # a command is of the service

    ill = True
    with pytest.raises(GateError) as caught:
        await pass_gate(target, gate(probe, deadline="1s"), on_result=slot.results.append)
    assert "service api 2: http /health?n={instance}: HTTP 503" in caught.value.message
    assert caught.value.detail[-1] == "api 2 | line 30 of api.2"
    assert "`bluegreen logs shop --service api`" in caught.value.remedy

    ill = False
    slot.crash("job.2")
    with pytest.raises(GateError, match=r"service job 2 ended: exit status 1"):
        await pass_gate(target, both, on_result=slot.results.append)


async def test_an_instance_in_the_place_of_another_does_not_pass(
    slot: FakeSlot, server: Server, start_stranger: StartStranger, free_ports: Callable[[int], Any]
) -> None:
    """It would answer for both; and so the other one would never be missed."""
    (port,) = free_ports(1)
    slot.add("api", Address(port=port), instance=2)
    slot.pids["api"] |= {await start_stranger(port)}
    error = await refused(slot, gate(HTTP, deadline="1s"))
    assert f"service api 2: http /health: 127.0.0.1:{port} belongs to pid" in error.message
    assert "which is no process of api 2" in error.message
