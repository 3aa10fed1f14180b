"""The systemd supervisor, on a real systemd that the test boots.

PIDs and control groups are only right from inside, so each scenario runs there.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.host import lab
from tests.supervisors.systemd_scenarios import NEED_MEMORY, SCENARIOS

ROOT = Path(__file__).parents[2]
SCENARIO_SECONDS = 120.0
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[lab.Host]:
    """One host for all scenarios: each makes an app of its own."""
    if (why := lab.obstacle()) is not None:
        pytest.skip(why)
    async with lab.host() as built:
        await built.require(ROOT, sys.executable)
        yield built


async def run(host: lab.Host, scenario: str) -> None:
    await host.run(
        "env", f"--chdir={ROOT}", sys.executable, "-W", "error", "-m",
        "tests.supervisors.systemd_scenarios", scenario, timeout=SCENARIO_SECONDS,
    )  # fmt: skip


@pytest.mark.parametrize("scenario", SCENARIOS)
async def test_on_a_systemd_host(host: lab.Host, scenario: str) -> None:
    await run(host, scenario)


@pytest.mark.parametrize("scenario", NEED_MEMORY)
async def test_on_a_systemd_host_with_a_memory_controller(host: lab.Host, scenario: str) -> None:
    said = await host.run("cat", "/sys/fs/cgroup/cgroup.controllers")
    if "memory" not in said.output.split():
        pytest.skip("this machine's control groups have no memory controller")
    await run(host, scenario)
