"""What was sent to a slot just before traffic left it is still answered."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal

from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from tests.stack import Stack
from tests.waiting import eventually


def _stall_and_kill(stalled: int, killed: int) -> None:
    """Let one process read nothing while the other one's end has traffic switched back."""
    os.kill(stalled, signal.SIGSTOP)
    os.kill(killed, signal.SIGKILL)


async def test_a_release_that_is_switched_back_answers_what_it_was_sent(empty: Stack) -> None:
    empty.write_app(watch="0s")
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(watch="60s")
    await empty.reload()
    settings = LoadSettings(
        url=empty.url(), connections=4, websockets=0, downloads=40, think=0.05,
        download_bytes=2000, download_rate=100_000,
    )  # fmt: skip
    async with Load(settings) as load:
        await load.ready()
        deploying = asyncio.create_task(empty.cli("deploy", "monitor", "v2"))
        await eventually(lambda: empty.marker() == "green", "v2 serves")
        await eventually(lambda: (load.snapshot().latest or ("",))[0] == "green", "v2 is visited")
        services = (await empty.status())["slots"]["green"]["services"]
        web = services["web"]["pid"]
        await asyncio.to_thread(_stall_and_kill, web, services["stream"]["pid"])
        await eventually(lambda: empty.marker() == "blue", "v1 serves again")
        with contextlib.suppress(ProcessLookupError):
            os.kill(web, signal.SIGCONT)
        assert (await deploying).status == 5
        report = await load.stop()
    assert report.failures == (), report.failures
