"""Why a unit does not run on, as the gate and `status` say it (see systemd_scenarios)."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from dataclasses import replace

from bluegreen.config.settings import Gate
from bluegreen.errors import GateError
from bluegreen.health.gate import pass_gate
from bluegreen.model import ServiceUnit, Slot, SlotState
from bluegreen.operations.runtime import AppRuntime
from bluegreen.supervisors.unit_names import service_unit
from tests.supervisors.systemd_api import api, bluegreen
from tests.supervisors.systemd_workshop import Workshop, command, refusal
from tests.waiting import eventually

RUN_ON = "exec sleep 1000\n"
CRASH = "until [ -e go ]; do sleep 0.02; done; echo no database; exit 3\n"
EATS_MEMORY = (
    "until [ -e go ]; do sleep 0.02; done; exec /usr/bin/python3 -c 'bytearray(1 << 28)'\n"
)


async def gate_failure(
    shop: Workshop, app: AppRuntime, unit: ServiceUnit, trouble: Callable[[], object]
) -> GateError:
    """What the gate of a slot says, in which ``trouble`` begins once the gate has."""
    supervisor = app.parts.supervisor
    app.slots[Slot.BLUE] = replace(
        app.slots[Slot.BLUE], state=SlotState.HOT, version="v1", tree=shop.work, services={"api": 1}
    )
    await supervisor.start(unit)
    target = app.target(Slot.BLUE, shop.work)
    gate = Gate.model_validate({"deadline": "30s", "healthy_for": "20s"})
    gating = asyncio.create_task(pass_gate(target, gate, on_result=lambda _: None))
    done, _ = await asyncio.wait({gating}, timeout=0.3)
    assert not done
    trouble()
    return await refused(gating)


async def refused(gating: Awaitable[None]) -> GateError:
    try:
        await gating
    except GateError as error:
        return error
    raise AssertionError("the gate was passed")


async def status_line(shop: Workshop) -> str:
    """What `status` says of the services of blue."""
    (line,) = [line for line in (await bluegreen("status")).splitlines() if " api " in line]
    (app,) = json.loads(await bluegreen("status", "--json"))["apps"]
    assert app["app"] == shop.app
    return line.strip()


async def an_exit_status_is_the_reason_of_a_gate_and_in_the_status(shop: Workshop) -> None:
    async with api(shop) as app:
        unit = await shop.write(CRASH, more="RestartSec=60s")
        error = await gate_failure(shop, app, unit, (shop.work / "go").touch)
        assert "service api ended: exit status 3" in error.message, error.lines()
        assert any("no database" in line for line in error.detail), error.lines()
        assert "bluegreen logs" in error.remedy
        assert "api backoff (exit status 3)" in await status_line(shop)


async def a_restart_is_the_reason_of_a_gate_and_in_the_status(shop: Workshop) -> None:
    async with api(shop) as app:
        unit = await shop.write(RUN_ON, more="RestartSec=0")

        def kill() -> None:
            pid = app.parts.supervisor.status(unit.key).pid
            assert pid is not None
            os.kill(pid, 9)

        error = await gate_failure(shop, app, unit, kill)
        assert "killed by SIGKILL" in error.message, error.lines()
        await eventually(
            lambda: app.parts.supervisor.status(unit.key).restarts == 1, "it was restarted"
        )
        said = await status_line(shop)
        assert "(restarted once, killed by SIGKILL)" in said, said


async def a_start_limit_is_the_reason_of_a_gate_and_in_the_status(shop: Workshop) -> None:
    async with api(shop) as app:
        unit = await shop.write(
            CRASH, unit="StartLimitIntervalSec=60s\nStartLimitBurst=1", more="RestartSec=0"
        )
        error = await gate_failure(shop, app, unit, (shop.work / "go").touch)
        reason = "start limit hit: systemd no longer restarts it (exit status 3)"
        await eventually(lambda: app.parts.supervisor.status(unit.key).last_exit == reason, reason)
        assert "exit status 3" in error.message, error.lines()
        assert reason in await status_line(shop)
        # And of a gate that begins only now.
        target = app.target(Slot.BLUE, shop.work)
        late = await refused(pass_gate(target, Gate(), on_result=lambda _: None))
        assert f"service api ended: {reason}" in late.message, late.lines()


async def a_stop_from_outside_is_the_reason_of_a_gate_and_in_the_status(shop: Workshop) -> None:
    async with api(shop) as app:
        unit = await shop.write(RUN_ON)
        stops: list[asyncio.Task[str]] = []

        def stop() -> None:
            stops.append(asyncio.create_task(command("systemctl", "stop", service_unit(unit.key))))

        error = await gate_failure(shop, app, unit, stop)
        await stops[0]
        reason = "stopped from outside (killed by SIGTERM)"
        assert f"does not run (stopped): {reason}" in error.message, error.lines()
        await eventually(lambda: app.parts.supervisor.status(unit.key).last_exit == reason, reason)
        assert f"api stopped ({reason})" in await status_line(shop)


async def out_of_memory_is_the_reason_of_a_gate(shop: Workshop) -> None:
    async with api(shop) as app:
        unit = await shop.write(EATS_MEMORY, more="MemoryMax=32M\nMemorySwapMax=0\nRestartSec=60s")
        error = await gate_failure(shop, app, unit, (shop.work / "go").touch)
        assert "out of memory (OOM kill)" in error.message, error.lines()
        assert "out of memory (OOM kill)" in await status_line(shop)


async def a_watchdog_that_is_not_fed_is_said(shop: Workshop) -> None:
    unit = await shop.write(
        "systemd-notify --ready; exec sleep 1000\n",
        more="Type=notify\nNotifyAccess=all\nWatchdogSec=1s\nRestartSec=60s",
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    reason = "its watchdog was not fed (killed by SIGABRT)"
    await eventually(lambda: supervisor.status(unit.key).last_exit == reason, reason)


async def why_one_that_notifies_did_not_start_is_said(shop: Workshop) -> None:
    supervisor = await shop.supervisor()
    notify = "Type=notify\nNotifyAccess=all\nRestartSec=60s"
    unit = await shop.write("echo thinking; sleep 1000\n", more=f"{notify}\nTimeoutStartSec=2s")
    error = await refusal(supervisor.start(unit))
    assert "within its start timeout of 2 s, in which it did not say" in error.message
    assert any("thinking" in line for line in error.detail), error.lines()
    await supervisor.stop(unit.key)
    unit = await shop.write("exit 3\n", more=notify)
    error = await refusal(supervisor.start(unit))
    assert error.message.endswith("did not start: exit status 3"), error.message
    await supervisor.stop(unit.key)
    unit = await shop.write("exit 0\n", more=notify)
    error = await refusal(supervisor.start(unit))
    assert "it ended before it was up, by its Type= (exit status 0)" in error.message, error.message


SCENARIOS = (
    an_exit_status_is_the_reason_of_a_gate_and_in_the_status,
    a_restart_is_the_reason_of_a_gate_and_in_the_status,
    a_start_limit_is_the_reason_of_a_gate_and_in_the_status,
    a_stop_from_outside_is_the_reason_of_a_gate_and_in_the_status,
    a_watchdog_that_is_not_fed_is_said,
    why_one_that_notifies_did_not_start_is_said,
)
NEED_MEMORY = (out_of_memory_is_the_reason_of_a_gate,)
