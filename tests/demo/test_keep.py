"""`bluegreen demo --keep --json`: what it leaves running, and what it prints for programs."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bluegreen.layout import Layout
from tests.demo.test_demo import PATIENCE, still_of
from tests.waiting import eventually

# The demo without what it does while the visitors are there; test_demo.py plays all of it.
SHORT = """
import sys
from bluegreen.cli import main
from bluegreen.demo import play

async def nothing(*_):
    pass

play._under_load = play.migrate_under_hold = nothing
sys.exit(main(["demo", "--keep", "--json"]))
"""


async def version_at(url: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/api/health") as response:
        return (await response.json())["version"]


@pytest.mark.timeout(PATIENCE + 60)
async def test_what_is_kept_runs_on_until_its_daemon_is_ended() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SHORT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        out, errors = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()
    assert (process.returncode, errors) == (0, b""), out
    *_, result = [json.loads(line) for line in out.splitlines()]
    root = Path(result["root"])
    daemon = int(Layout(root).daemon_pid.read_text())
    try:
        assert result["held"] is True
        assert (result["failures"], result["not_held"]) == (0, [])
        assert [each["version"] for each in result["served"]] == ["v1"]
        assert await version_at(result["url"]) == "v1"
    finally:
        os.kill(daemon, signal.SIGTERM)
        await eventually(lambda: not still_of(root), "the daemon, the app and nginx have ended")
        shutil.rmtree(root)
        os.unlink(result["chart"])
