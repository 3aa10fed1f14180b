"""How long requests wait, and where they go, by the markers alone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from bluegreen.gate import door
from bluegreen.gate.door import Door
from bluegreen.model import Address, Hold, Slot
from bluegreen.traffic.markers import Markers
from tests.ports import kernel_ports
from tests.waiting import eventually

LONG = 600.0  # seconds


class Request:
    """One that waits."""

    def __init__(self) -> None:
        self.answered: list[Slot | None] = []

    def answer(self, slot: Slot | None) -> None:
        self.answered.append(slot)


@contextlib.asynccontextmanager
async def listening(ports: Iterable[int]) -> AsyncIterator[None]:
    async with contextlib.AsyncExitStack() as stack:
        for port in ports:
            server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", port)
            await stack.enter_async_context(server)
        yield


def held_for(
    markers: Markers, seconds: float, ports: dict[Slot, list[int]], ways: Iterable[Slot] = ()
) -> None:
    now = time.time()
    addresses = {slot: tuple((Address(port=port),) for port in ports[slot]) for slot in ports}
    markers.hold(
        Hold(since=now, until=now + seconds, by="a test", addresses=addresses, ways=tuple(ways))
    )


@pytest.fixture
def markers(tmp_path: Path) -> Markers:
    found = Markers(tmp_path)
    found.switch(Slot.BLUE)
    return found


@pytest.fixture
def at(tmp_path: Path) -> Door:
    return Door("shop", tmp_path)


async def looked(at: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait until the door has looked at the markers some times more."""
    looks = 0
    held = at.held

    def look() -> Hold | None:
        nonlocal looks
        looks += 1
        return held()

    with monkeypatch.context() as watched:
        watched.setattr(at, "held", look)
        await eventually(lambda: looks >= 5, "it has looked")


async def sent_to(at: Door) -> Slot | None:
    """Where one more request goes."""
    request = Request()
    at.wait(request)
    await eventually(lambda: request.answered, "it is answered")
    (to,) = request.answered
    return to


async def test_without_a_hold_it_goes_on_at_once(markers: Markers, at: Door) -> None:
    assert await sent_to(at) is Slot.BLUE
    assert at.held() is None


async def test_it_waits_for_the_marker_and_goes_where_the_others_point_then(
    markers: Markers, at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_for(markers, LONG, {})
    requests = [Request() for _ in range(3)]
    for request in requests:
        at.wait(request)
    await looked(at, monkeypatch)
    assert at.waiting == 3
    markers.switch(Slot.GREEN)
    at.forget(requests[0])
    markers.release()
    await eventually(lambda: at.waiting == 0, "nobody waits")
    assert [request.answered for request in requests] == [[], [Slot.GREEN], [Slot.GREEN]]


async def test_many_go_on_one_slice_after_the_other(markers: Markers, at: Door) -> None:
    requests = [Request() for _ in range(3 * door.AT_ONCE)]
    for request in requests:
        at.wait(request)
    await eventually(lambda: requests[0].answered, "the first go")
    assert not requests[-1].answered
    await eventually(lambda: requests[-1].answered, "the last go")
    assert {to for request in requests for to in request.answered} == {Slot.BLUE}


async def test_at_the_end_every_service_of_the_slot_has_to_answer(
    markers: Markers, at: Door
) -> None:
    blue, other, green = kernel_ports(3)
    ports = {Slot.BLUE: [blue, other], Slot.GREEN: [green]}
    held_for(markers, 0.05, ports, [Slot.GREEN])
    async with listening([blue, green]):
        assert await sent_to(at) is Slot.GREEN
    held_for(markers, 0.05, ports)
    async with listening([blue, other, green]):
        at = Door("shop", markers.directory)
        assert await sent_to(at) is Slot.BLUE


async def test_at_the_end_one_instance_of_a_service_is_enough(markers: Markers, at: Door) -> None:
    first, second, other = kernel_ports(3)
    now = time.time()
    services = ((Address(port=first), Address(port=second)), (Address(port=other),))
    addresses = {Slot.BLUE: services}
    markers.hold(Hold(since=now, until=now + 0.05, by="a test", addresses=addresses))
    async with listening([second, other]):
        assert await sent_to(at) is Slot.BLUE
    async with listening([first, second]):
        at = Door("shop", markers.directory)
        assert await sent_to(at) is None


async def test_at_the_end_nothing_that_answers_is_nowhere(markers: Markers, at: Door) -> None:
    blue, green = kernel_ports(2)
    held_for(markers, 0.05, {Slot.BLUE: [blue], Slot.GREEN: [green]}, [Slot.GREEN])
    assert await sent_to(at) is None

    async def goes_to_green() -> bool:
        return await sent_to(at) is Slot.GREEN

    async with listening([green]):
        await eventually(goes_to_green, "it is found that green answers")


async def test_a_closed_app_is_nowhere(markers: Markers, at: Door) -> None:
    markers.close()
    assert await sent_to(at) is None
    held_for(markers, 0.05, {})
    assert await sent_to(at) is None


async def test_an_app_that_is_gone_is_nowhere(tmp_path: Path) -> None:
    assert await sent_to(Door("gone", tmp_path / "gone")) is None


async def test_a_clock_that_jumps_ends_no_hold(
    markers: Markers, at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_for(markers, LONG, {})
    assert at.held() is not None
    there = time.time
    monkeypatch.setattr(time, "time", lambda: there() + 86400)
    request = Request()
    at.wait(request)
    await looked(at, monkeypatch)
    assert request.answered == []
    at.forget(request)


async def test_a_hold_that_is_written_anew_has_another_end(
    markers: Markers, at: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_for(markers, 0.5, {})
    first_end = time.monotonic() + 0.5
    assert at.held() is not None
    held_for(markers, LONG, {})
    request = Request()
    at.wait(request)
    await eventually(lambda: time.monotonic() > first_end, "the first end has come")
    await looked(at, monkeypatch)
    assert request.answered == []
    held_for(markers, 0.01, {})
    await eventually(lambda: request.answered == [Slot.BLUE], "it goes on")
