"""The gate while requests are held: killed, gone, found by the next daemon, and ended."""

from __future__ import annotations

import os
import signal

from bluegreen.processes import identify
from bluegreen.traffic.control import TrafficControl
from tests.traffic.backends import Backend
from tests.traffic.client import ask
from tests.traffic.conftest import World
from tests.traffic.held import WAITING, bodies, hold, opened, send, until_waiting, waiting
from tests.waiting import eventually


async def test_a_gate_that_is_killed_is_started_again_and_nobody_who_waits_notices(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    sent = send(world)
    for _ in range(2):
        await until_waiting(world, WAITING)
        gate = world.gate()
        assert gate is not None
        os.kill(gate, signal.SIGKILL)
        await eventually(lambda gate=gate: world.gate() != gate, "another gate")
    await until_waiting(world, WAITING)
    await world.release(settings)
    assert await bodies(sent) == {"blue 5"}


async def without_daemon_and_gate(world: World) -> None:
    """Both have ended: one that is only told to end may be found alive."""
    gate = world.gate()
    assert gate is not None
    identity = identify(gate)
    await world.control.close(stop_nginx=False)
    world.end_gate()
    await eventually(lambda: identify(gate) != identity, "the gate has ended")


async def test_without_a_gate_requests_are_answered_503_and_not_passed(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    await without_daemon_and_gate(world)
    reply = await ask(world.site)
    assert (reply.status, reply.headers["retry-after"]) == (503, "10")
    assert sum(backend.posts for backend in slots.values()) == 0


async def test_the_next_daemon_finds_the_gate_and_lets_those_through_who_wait(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    sent = send(world)
    await until_waiting(world, WAITING)
    gate = world.gate()
    await world.control.close(stop_nginx=False)
    assert await waiting(world) == WAITING
    world.control = TrafficControl(world.layout, own_nginx=True)
    await world.control.open([settings])
    held = world.control.read("shop").held
    assert held is not None
    assert (held.by, held.operation) == ("a test", None)
    await world.release(settings)
    assert world.control.read("shop").held is None
    assert await bodies(sent) == {"blue 5"}
    assert world.gate() == gate


async def test_a_gate_that_is_gone_is_started_by_the_next_daemon_where_requests_are_held(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    await hold(world, settings)
    await without_daemon_and_gate(world)
    world.control = TrafficControl(world.layout, own_nginx=True)
    await world.control.open([settings])
    sent = send(world)
    await until_waiting(world, WAITING)
    await world.release(settings)
    assert await bodies(sent) == {"blue 5"}


async def test_the_gate_is_started_by_the_first_hold_and_ended_with_our_nginx(
    world: World, slots: dict[str, Backend]
) -> None:
    settings = await opened(world)
    assert world.gate() is None
    await hold(world, settings)
    gate = world.gate()
    assert gate is not None
    identity = identify(gate)
    assert identity is not None
    await world.release(settings)
    await world.control.close(stop_nginx=True)
    assert identify(gate) != identity
    assert world.gate() is None
