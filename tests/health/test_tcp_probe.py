from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

from bluegreen.config.questions import Probe
from bluegreen.health.attempt import probe_once
from bluegreen.model import Address
from tests.health.conftest import Accept
from tests.health.slot import FakeSlot

TCP = Probe.model_validate({"service": "api", "tcp": {}, "timeout": "1s"})


async def test_an_accepted_connection_passes_and_is_closed_again(
    slot: FakeSlot, accept: Accept
) -> None:
    ended = asyncio.get_running_loop().create_future()

    async def talk(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        ended.set_result(await reader.read())

    slot.addresses["api"] = await accept(talk)
    result = await probe_once(slot.target, TCP)
    assert (result.passed, result.answer, result.probe) == (True, "connection accepted", "tcp")
    async with asyncio.timeout(20):
        assert await ended == b""


async def test_a_port_without_a_listener_refuses(
    slot: FakeSlot, free_ports: Callable[[int], list[int]]
) -> None:
    slot.addresses["api"] = Address(port=free_ports(1)[0])
    slot.pids["api"] = frozenset()
    result = await probe_once(slot.target, TCP)
    assert (result.passed, result.answer) == (False, "connection refused")


async def test_a_unix_socket_is_connected_to(slot: FakeSlot) -> None:
    path = slot.root / "api.sock"
    slot.addresses["api"] = Address(socket=path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        assert (await probe_once(slot.target, TCP)).passed


async def test_a_unix_socket_whose_queue_is_full_does_not_pass(slot: FakeSlot) -> None:
    path = slot.root / "api.sock"
    slot.addresses["api"] = Address(socket=path)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as waiting:
        listener.bind(str(path))
        listener.listen(0)
        waiting.connect(str(path))
        result = await probe_once(slot.target, TCP)
    assert (result.passed, result.answer) == (False, "its queue of connections is full")


async def test_a_worker_has_nothing_to_connect_to(slot: FakeSlot) -> None:
    result = await probe_once(slot.target, TCP)
    assert (result.passed, result.answer) == (False, "api has no address to probe")
