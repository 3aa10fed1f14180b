"""A control group that cannot be entered, as for an instant after the stop of what was in it."""

from __future__ import annotations

import asyncio

from tests.production.production import APP, Production

SLICE = f"/sys/fs/cgroup/system.slice/system-bluegreen\\x2d{APP}\\x2dapi.slice"
UNIT = f"bluegreen-{APP}-api@blue.service"


async def test_a_service_is_started_again_once_its_control_group_can_be_entered(
    production: Production,
) -> None:
    # Beside a group of threads there is none of processes.
    threads = f"{SLICE}/threads"
    await production.host.run("mkdir", "-p", threads)
    script = f"echo threaded >'{threads}/cgroup.type'"
    await production.host.run("sh", "-c", script)
    deploying = asyncio.create_task(production.deploy("v1"), name="deploy")

    # All in one shell: for five seconds the daemon tries again.
    refused = f"journalctl -u {UNIT} -o cat --no-pager | grep -q status=219/CGROUP"
    script = f"until {refused}; do sleep 0.02; done; rmdir '{threads}'"
    await production.host.run("timeout", "50", "sh", "-c", script)
    await deploying
    assert await production.served() == "v1"
