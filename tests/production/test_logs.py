"""What services of a systemd host have written, as its operator reads it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator

from tests.host.program import PROGRAM
from tests.production.production import APP, Production
from tests.waiting import PATIENCE, eventually

API = f"bluegreen-{APP}-api@blue.service"


@contextlib.asynccontextmanager
async def following(
    production: Production, *options: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`bluegreen logs --follow` on the host."""
    process = await asyncio.create_subprocess_exec(
        *production.host.command(f"{PROGRAM}/bin/bluegreen", "logs", *options, "--follow"),
        stdout=asyncio.subprocess.PIPE, start_new_session=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)  # nsenter, and what it has started
        await process.wait()


async def line(process: asyncio.subprocess.Process, part: str) -> str:
    """The next line that has ``part`` in it."""
    assert process.stdout is not None
    async with asyncio.timeout(PATIENCE):
        while True:
            said = (await process.stdout.readline()).decode()
            assert said, f"ended without {part}"
            if part in said:
                return said


async def readers(production: Production) -> int:
    said = await production.host.run("pgrep", "--count", "journalctl", check=False)
    return int(said.output)


async def test_the_daemon_reads_them_from_within_its_sandbox(production: Production) -> None:
    await production.deploy("v1")
    shown = (await production.bluegreen("logs", APP, "--service", "api")).output
    assert "blue api | api v1 (blue): listens on 127.0.0.1:" in shown
    shown = (await production.bluegreen("logs", APP)).output
    for service in ("web", "api", "stream"):
        assert f"blue {service} | {service} v1 (blue): listens" in shown
    assert "green api | " not in shown
    async with following(production, "--service", "api", "--lines", "1") as process:
        await line(process, "blue api | ")
        await production.host.run("systemctl", "restart", API)
        assert "v1 (blue)" in await line(process, "listens")
        assert await readers(production) == 1
    await eventually(lambda: no_reader(production), "nothing reads the journal any more")
    async with following(production, "--lines", "0") as process:
        await eventually(lambda: one_reader(production), "the journal is read")
        await production.host.run("systemctl", "restart", "bluegreen.service")
        assert await asyncio.wait_for(process.wait(), PATIENCE) in (0, 3)
    await eventually(lambda: no_reader(production), "nothing reads the journal any more")


async def no_reader(production: Production) -> bool:
    return await readers(production) == 0


async def one_reader(production: Production) -> bool:
    return await readers(production) == 1


WORKER = """
[services.worker]
command = '''/bin/sh -c 'test $BLUEGREEN_VERSION = v1 && systemd-notify --ready; sleep infinity' '''
ready = "notify"
"""


async def test_a_release_that_does_not_say_that_it_is_ready_is_refused(bare: Production) -> None:
    await bare.set_up(services=("api",), extra=WORKER)
    await bare.deploy("v1")
    assert await bare.unit(f"bluegreen-{APP}-worker@blue.service", "Type") == "notify"
    bare.write_app(services=("api",), extra=WORKER, deadline="3s")
    await bare.bluegreen("apply")
    refused = await bare.deploy("v2", check=False)
    assert refused.status == 1
    assert "start timeout of 3 s, in which it did not say that it was ready" in refused.output
    assert await bare.served() == "v1"
    assert await bare.unit(f"bluegreen-{APP}-worker@green.service", "ActiveState") == "inactive"
