"""Requests held on a systemd host: the gate is a unit, started by its socket."""

from __future__ import annotations

import json

from tests.production.production import APP, Production
from tests.waiting import eventually

DAEMON, GATE = "bluegreen.service", "bluegreen-gate.service"


async def waiting(production: Production) -> int:
    """How many requests the gate knows of."""
    said = await production.host.run(
        "python3", "-c",
        "import socket as s; c = s.socket(s.AF_UNIX); c.connect('/run/bluegreen/gate-1.sock');"
        f" c.sendall(b'GET /state/{APP} HTTP/1.0\\r\\n\\r\\n'); print(c.makefile().read())",
    )  # fmt: skip
    return int(json.loads(said.output.splitlines()[-1])["waiting"])


async def test_visitors_wait_while_the_daemon_and_the_gate_are_killed(
    production: Production,
) -> None:
    await production.deploy("v1")
    await production.deploy("v2")
    assert await production.unit(GATE, "ActiveState") == "inactive"

    async def all_wait() -> bool:
        return await waiting(production) >= 16

    async with production.load(timeout=200.0) as load:
        await load.ready()
        await production.bluegreen("hold", APP, "--timeout", "4m")
        await eventually(all_wait, "the visitors wait")
        assert await production.unit(GATE, "User") == "bluegreen"
        for unit in (DAEMON, GATE):
            await production.host.run("systemctl", "kill", "--signal=KILL", unit)

        async def is_ready() -> bool:
            return await production.unit(DAEMON, "ActiveState") == "active"

        await eventually(all_wait, "the visitors wait at another gate")
        await eventually(is_ready, "another daemon runs")
        assert (await production.status())["apps"][0]["held"] is not None
        await production.bluegreen("switch", "back", APP)
        await production.bluegreen("release", APP)
        assert await production.served() == "v1"
        report = await load.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
