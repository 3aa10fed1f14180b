"""Several instances of a service on a systemd host: each has a unit of its own."""

from __future__ import annotations

import re
from typing import Any

import aiohttp

from tests.production.asking import status_of
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

UNIT = f"bluegreen-{APP}-api@{{}}.service"
UNITS = "/etc/systemd/system"


def write(host: Production, instances: int) -> None:
    host.write_app(services=("api",), ports=(9001, 9101), watch="0.5s")
    file = host.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    file.write_text(text.replace("[services.api]\n", f"[services.api]\ninstances = {instances}\n"))


async def instances(host: Production, slot: str) -> list[Any]:
    status = await status_of(host)
    found: list[Any] = status["slots"][slot]["services"]["api"]["instances"]
    return found


async def running(host: Production) -> list[str]:
    """What runs of the service: ``blue``, ``blue-2``."""
    said = await host.host.run(
        "systemctl", "list-units", "--plain", "--no-legend", "--state=active", UNIT.format("*")
    )
    return sorted(re.findall(r"@(\S+)\.service", said.output))


async def serves(host: Production, version: str) -> bool:
    try:
        return bool(await host.served() == version)
    except AssertionError:  # not yet
        return False


async def is_there_after(host: Production, pid: str) -> bool:
    """Whether another daemon than the process ``pid`` answers."""
    try:
        await status_of(host)
    except (aiohttp.ClientError, OSError):
        return False
    return await host.unit(DAEMON, "MainPID") != pid


async def test_each_has_a_unit_which_stays_until_its_slot_is_stopped(bare: Production) -> None:
    await bare.prepare()
    write(bare, 3)
    await bare.bluegreen("apply")
    await bare.deploy("v1")
    assert await running(bare) == ["blue", "blue-2", "blue-3"]
    assert [one["address"] for one in await instances(bare, "blue")] == [
        f"127.0.0.1:{port}" for port in (9001, 9002, 9003)
    ]
    assert (
        "blue api 3 | api v1 (blue): listens on 127.0.0.1:9003"
        in (await bare.bluegreen("logs", APP, "--service", "api")).output
    )

    # Fewer are asked for: those that were started run on, also past a daemon that is killed.
    write(bare, 2)
    said = (await bare.bluegreen("apply")).output
    assert "stop bluegreen" not in said
    assert bare.path(f"{UNITS}/{UNIT.format('blue-3')}").exists()
    assert not bare.path(f"{UNITS}/bluegreen.target.wants/{UNIT.format('blue-3')}").is_symlink()
    pids = [one["pid"] for one in await instances(bare, "blue")]
    first = await bare.unit(DAEMON, "MainPID")
    await bare.host.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", DAEMON)
    await eventually(lambda: is_there_after(bare, first), "the next daemon is there")
    assert "api 3 of 3 running" in (await bare.bluegreen("status", APP)).output
    assert [one["pid"] for one in await instances(bare, "blue")] == pids

    # Each release has as many as were asked for when it was started.
    await bare.deploy("v2")
    assert await running(bare) == ["blue", "blue-2", "blue-3", "green", "green-2"]
    assert not bare.path(f"{UNITS}/{UNIT.format('green-3')}").exists()
    await bare.deploy("v1")
    assert await running(bare) == ["blue", "blue-2", "green", "green-2"]
    assert f"--- {UNITS}/{UNIT.format('blue-3')}" in (await bare.bluegreen("apply")).output
    assert not bare.path(f"{UNITS}/{UNIT.format('blue-3')}").exists()

    # A host that boots starts all units that it has; they are of the slot from then on.
    write(bare, 3)
    await bare.bluegreen("apply")
    assert await bare.served() == "v1"
    assert len(await instances(bare, "blue")) == 2
    await bare.host.reboot()
    await eventually(lambda: serves(bare, "v1"), "v1 serves")
    await bare.host.run("systemctl", "start", DAEMON)
    assert len(await instances(bare, "blue")) == 3
    assert [one["state"] for one in await instances(bare, "blue")] == ["running"] * 3
