"""A slot to probe: servers in this process, strangers in others."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web

from bluegreen.model import Address
from tests.health.slot import FakeSlot

Serve = Callable[..., Awaitable[Address]]
StartStranger = Callable[..., Awaitable[int]]
Accept = Callable[..., Awaitable[Address]]


@pytest.fixture
def slot(root: Path) -> FakeSlot:
    """A slot of one service, ``api``, whose process is the one of the tests."""
    return FakeSlot(root)


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts HTTP servers in this process: ``await serve(handler, port=…, socket=…)``."""
    runners: list[web.AppRunner] = []

    async def start(
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
        *,
        port: int = 0,
        socket: Path | None = None,
        host: str = "127.0.0.1",
    ) -> Address:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handler)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        runners.append(runner)
        if socket is not None:
            await web.UnixSite(runner, socket).start()
            return Address(socket=socket)
        await web.TCPSite(runner, host, port).start()
        return Address(port=runner.addresses[0][1])

    yield start
    for runner in runners:
        await runner.cleanup()


@pytest.fixture
async def accept() -> AsyncIterator[Accept]:
    """Starts raw servers in this process: ``await accept(talk)``, with streams as asyncio's."""
    servers: list[asyncio.Server] = []
    talks: set[asyncio.Task[None]] = set()

    async def start(
        talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
        *,
        port: int = 0,
    ) -> Address:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            talks.add(task)
            try:
                await talk(reader, writer)
            except (ConnectionError, asyncio.CancelledError):
                return
            finally:
                talks.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", port)
        servers.append(server)
        return Address(port=server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for task in list(talks):
        task.cancel()
    if talks:
        await asyncio.wait(list(talks))
    for server in servers:
        await server.wait_closed()


@pytest.fixture
async def start_stranger() -> AsyncIterator[StartStranger]:
    """Starts a process that answers every request with 200; returns its PID once it listens."""
    processes: list[asyncio.subprocess.Process] = []

    async def start(where: int | Path, *, host: str = "127.0.0.1", reuse: bool = False) -> int:
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(Path(__file__).with_name("stranger.py")),
            str(where), host, "reuse" if reuse else "alone",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        processes.append(process)
        assert process.stdout is not None
        async with asyncio.timeout(20):
            assert await process.stdout.readline() == b"listening\n"
        return process.pid

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()
