"""The systemd supervisor, on a real systemd that the test boots.

PIDs and control groups are only right from inside, so each scenario runs there.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host import lab
from tests.supervisors.systemd_scenarios import NEED_MEMORY, SCENARIOS

ROOT = Path(__file__).parents[2]
SCENARIO_SECONDS = 120.0
LONGEST = 16 * 2**20  # bytes that a scenario says
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[lab.Host]:
    """One host for all scenarios: each makes an app of its own."""
    if (why := lab.obstacle()) is not None:
        pytest.skip(why)
    async with lab.host() as built:
        await built.require(ROOT, sys.executable)
        yield built


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scenarios(host: lab.Host) -> AsyncIterator[asyncio.subprocess.Process]:
    """Who runs them there."""
    process = await asyncio.create_subprocess_exec(
        *host.command(
            "env", f"--chdir={ROOT}", sys.executable, "-W", "error", "-m",
            "tests.supervisors.systemd_scenarios",
        ),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=LONGEST,
    )  # fmt: skip
    yield process
    assert process.stdin is not None
    process.stdin.close()
    await asyncio.wait_for(process.wait(), SCENARIO_SECONDS)


async def run(scenarios: asyncio.subprocess.Process, name: str) -> None:
    assert scenarios.stdin is not None
    assert scenarios.stdout is not None
    scenarios.stdin.write(f"{name}\n".encode())
    line = await asyncio.wait_for(scenarios.stdout.readline(), SCENARIO_SECONDS)
    assert line, "who runs the scenarios has ended"
    said = json.loads(line)
    assert said["status"] == 0, said["output"]


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_on_a_systemd_host(scenarios: asyncio.subprocess.Process, scenario: str) -> None:
    await run(scenarios, scenario)


@pytest.mark.parametrize("scenario", NEED_MEMORY)
async def test_on_a_systemd_host_with_a_memory_controller(
    host: lab.Host, scenarios: asyncio.subprocess.Process, scenario: str
) -> None:
    said = await host.run("cat", "/sys/fs/cgroup/cgroup.controllers")
    if "memory" not in said.output.split():
        pytest.skip("this machine's control groups have no memory controller")
    await run(scenarios, scenario)
