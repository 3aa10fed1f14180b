"""The load as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bluegreen.demo.load_process import LoadProcess
from bluegreen.demo.report import Report
from tests.demo.site import Site, small
from tests.waiting import PATIENCE


async def test_a_load_in_its_own_process_reports_the_same(site: tuple[Site, str]) -> None:
    async with LoadProcess(small(site[1])) as load:
        await load.ready()
        report = await load.stop()
    assert report.failed == 0
    assert report.requests >= 4
    assert report.downloads_done >= 2
    assert report.series[0].slot == "blue"


async def test_a_load_process_ends_in_time_and_says_by_its_status_that_someone_was_let_down(
    free_ports: Callable[[int], list[int]], tmp_path: Path
) -> None:
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bluegreen.demo.load", "--url", url, "--connections", "1"),
        *("--websockets", "0", "--downloads", "0", "--json", str(tmp_path / "report.json")),
        *("--seconds", "0.3"),
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    report = Report.from_json(json.loads((tmp_path / "report.json").read_text()))
    assert process.returncode == 1
    assert report.failed_requests > 0
    assert output.startswith(b"0 requests, ")


async def test_a_load_process_ends_cleanly_at_sigterm(site: tuple[Site, str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bluegreen.demo.load", *small(site[1]).arguments()),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await asyncio.wait_for(process.stdout.readline(), PATIENCE) == b"ready\n"
    os.kill(process.pid, signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0
