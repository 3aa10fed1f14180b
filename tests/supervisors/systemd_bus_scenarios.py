"""Scenarios of a message bus that goes away or is not there (see systemd_scenarios)."""

from __future__ import annotations

import asyncio
import os

from bluegreen.model import UnitState
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.supervisors.unit_names import service_unit
from tests.supervisors.states import reaches
from tests.supervisors.systemd_workshop import RUN_ON, Workshop, command, refusal
from tests.waiting import eventually


async def the_bus_may_be_restarted(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    pid = supervisor.status(unit.key).pid
    await command("systemctl", "restart", "dbus.service")
    assert await supervisor.processes(unit.key) == {pid}
    await command("systemctl", "stop", service_unit(unit.key))
    await reaches(supervisor, unit, UnitState.STOPPED)
    await supervisor.start(unit)
    await command("systemctl", "daemon-reexec")
    pid = supervisor.status(unit.key).pid
    assert pid is not None
    os.kill(pid, 9)
    await eventually(lambda: supervisor.status(unit.key).restarts == 1, "the service was restarted")
    # In the middle of a start: it is not lost.
    await supervisor.stop(unit.key)
    script = (
        "echo >begun; until [ -e go ]; do sleep 0.05; done\nsystemd-notify --ready\nsleep 1000\n"
    )
    slow = await shop.write(script, more="Type=notify\nNotifyAccess=all")
    starting = asyncio.create_task(supervisor.start(slow))
    await shop.line(shop.work / "begun")
    await command("systemctl", "restart", "dbus.service")
    (shop.work / "go").touch()
    await starting
    assert supervisor.status(unit.key).state is UnitState.RUNNING


async def a_bus_that_is_away_delays_what_is_asked(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await command("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        await command("systemctl", "stop", service_unit(unit.key))
        starting = asyncio.create_task(supervisor.start(unit))
        done, _ = await asyncio.wait([starting], timeout=0.5)
        assert not done
    finally:
        await command("systemctl", "start", "dbus.socket")
    await starting
    status = supervisor.status(unit.key)
    assert (status.state, status.restarts) == (UnitState.RUNNING, 0), status


async def without_a_bus_it_says_so(shop: Workshop) -> None:
    supervisor = SystemdSupervisor(shop.layout, bus_address="unix:path=/nowhere")
    error = await refusal(supervisor.open([]))
    assert "systemd cannot be asked over D-Bus" in error.message
    assert "systemctl status dbus" in error.remedy
    await supervisor.close(stop_units=False)


SCENARIOS = (
    the_bus_may_be_restarted,
    a_bus_that_is_away_delays_what_is_asked,
    without_a_bus_it_says_so,
)
