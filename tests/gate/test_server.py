"""The gate as a process, asked through its socket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bluegreen.gate import server
from bluegreen.gate.server import Gate
from bluegreen.model import Hold, Slot
from bluegreen.traffic.markers import Markers
from tests.waiting import eventually


@dataclass(frozen=True)
class Asked:
    socket: Path
    markers: Markers

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_unix_connection(self.socket)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def ask(self, question: str) -> str:
        async with self.connected() as (reader, writer):
            writer.write(question.encode())
            return (await asyncio.wait_for(reader.read(), 20)).decode()

    async def waiting(self, until: float) -> int:
        answer = await self.ask("GET /state/shop HTTP/1.0\r\n\r\n")
        state = json.loads(answer.partition("\r\n\r\n")[2])
        assert state["until"] == until
        return int(state["waiting"])


def bound(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(os.fspath(path))
    listener.listen(16)
    listener.setblocking(False)
    return listener


@pytest.fixture
async def gate(root: Path) -> AsyncIterator[Asked]:
    markers = Markers(root / "apps/shop/traffic")
    markers.directory.mkdir(parents=True)
    markers.switch(Slot.BLUE)
    with bound(root / "gate.sock") as listener:
        serving = asyncio.create_task(Gate(root / "apps").serve([listener]), name="gate")
        yield Asked(root / "gate.sock", markers)
        serving.cancel()
        await asyncio.wait([serving])


def held(markers: Markers) -> float:
    until = time.time() + 600
    markers.hold(Hold(since=time.time(), until=until, by="a test"))
    return until


async def test_it_says_where_a_request_goes(gate: Asked) -> None:
    answer = await gate.ask("GET /wait/shop HTTP/1.0\r\nHost: bluegreen_gate\r\n\r\n")
    assert answer == "HTTP/1.0 204 No Content\r\nX-Bluegreen-Slot: blue\r\n\r\n"


async def test_it_says_that_a_request_goes_nowhere(gate: Asked) -> None:
    answer = await gate.ask("GET /wait/other HTTP/1.0\r\n\r\n")
    assert answer.startswith("HTTP/1.0 503 ")


async def test_it_says_who_waits(gate: Asked) -> None:
    until = held(gate.markers)

    async def nobody_waits() -> bool:
        return await gate.waiting(until) == 0

    async def one_waits() -> bool:
        return await gate.waiting(until) == 1

    async with gate.connected() as (_, writer):
        writer.write(b"GET /wait/shop HT")
        await writer.drain()
        assert await nobody_waits()
        writer.write(b"TP/1.0\r\n\r\n")
        await eventually(one_waits, "it waits")
    await eventually(nobody_waits, "it has gone")


@pytest.mark.parametrize(
    "question",
    [
        "POST /wait/shop HTTP/1.0\r\n\r\n", "GET /wait/../shop HTTP/1.0\r\n\r\n",
        "GET /wait/ HTTP/1.0\r\n\r\n", "GET /wait/shop%00 HTTP/1.0\r\n\r\n", "\r\n\r\n",
        "GET /wait/SHOP HTTP/1.0\r\n\r\n", "GET /elsewhere/shop HTTP/1.0\r\n\r\n",
    ],
)  # fmt: skip
async def test_it_answers_nothing_else(gate: Asked, question: str) -> None:
    assert (await gate.ask(question)).startswith("HTTP/1.0 400 ")


async def test_whoever_says_nothing_or_does_not_end_is_let_go(
    gate: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "HEAD_TIMEOUT", 0.05)
    async with gate.connected() as (reader, _):
        assert await asyncio.wait_for(reader.read(), 20) == b""
    monkeypatch.undo()
    async with gate.connected() as (reader, writer):
        writer.write(b"GET /wait/shop HTTP/1.0\r\nX: " + b"x" * 2 * server.HEAD_LIMIT)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 20) == b""


def test_as_a_process_it_takes_a_socket_and_all_the_files_it_may_have(root: Path) -> None:
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 1024))

    with bound(root / "gate.sock") as listener:
        process = subprocess.Popen(
            [sys.executable, "-I", "-m", "bluegreen.gate", str(root), str(listener.fileno())],
            pass_fds=[listener.fileno()], preexec_fn=limited,
        )  # fmt: skip
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(20)
            client.connect(os.fspath(root / "gate.sock"))
            client.sendall(b"GET /state/shop HTTP/1.0\r\n\r\n")
            assert client.recv(4096).startswith(b"HTTP/1.0 200 OK\r\n")
        assert resource.prlimit(process.pid, resource.RLIMIT_NOFILE) == (1024, 1024)
    finally:
        process.terminate()
        process.wait(20)
