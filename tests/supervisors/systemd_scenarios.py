"""Scenarios of services on a systemd host: run there by ``python -m …``, as root.

It reads names of scenarios, a line each. Each is run in a process of its own, forked from one that
has imported all of it, and answered by a line of JSON: its exit status, and what it said.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from functools import partial

from bluegreen.model import ServiceUnit, Slot, UnitState
from bluegreen.supervisors.systemd import SystemdSupervisor
from bluegreen.supervisors.unit_names import service_unit
from tests.supervisors import (
    systemd_bus_scenarios,
    systemd_job_scenarios,
    systemd_log_scenarios,
    systemd_reason_scenarios,
    systemd_refusal_scenarios,
)
from tests.supervisors.states import reaches
from tests.supervisors.systemd_workshop import (
    RUN_ON,
    Workshop,
    command,
    is_alive,
    refusal,
    workshop,
)
from tests.waiting import eventually

SCENARIO_SECONDS = 100.0


async def a_service_is_started_marked_and_stopped(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    mark = shop.places.wanted / "blue"
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    await supervisor.start(unit)
    status = supervisor.status(unit.key)
    assert status.state is UnitState.RUNNING
    assert (status.restarts, status.last_exit) == (0, None)
    assert status.since is not None
    assert status.pid in await supervisor.processes(unit.key)
    assert supervisor.units() == [unit.key]
    assert mark.read_text() == "v1\n"
    await supervisor.start(unit)
    assert supervisor.status(unit.key).pid == status.pid
    assert await supervisor.stop(unit.key, alone=True)
    assert mark.read_text() == "v1\n"  # for the other services of its slot
    await supervisor.start(unit)
    assert await supervisor.stop(unit.key)
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert supervisor.status(unit.key).last_exit == "killed by SIGTERM"
    assert not mark.exists()
    assert supervisor.units() == []
    assert await supervisor.processes(unit.key) == frozenset()
    assert await supervisor.stop(unit.key)
    await eventually(
        lambda: shop.states()[-1] is UnitState.STOPPED, "it was told that the service is stopped"
    )
    assert UnitState.RUNNING in shop.states()
    assert UnitState.BACKOFF not in shop.states()


async def another_version_or_unit_file_restarts_it(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    first = supervisor.status(unit.key).pid
    other = await shop.write(RUN_ON, version="v2")
    await supervisor.start(other)
    second = supervisor.status(unit.key).pid
    assert second != first
    assert (shop.places.wanted / "blue").read_text() == "v2\n"
    await supervisor.start(other)
    assert supervisor.status(unit.key).pid == second
    again = await shop.write(RUN_ON, version="v2", more="Nice=1")
    await supervisor.start(again)
    assert supervisor.status(unit.key).pid != second
    assert supervisor.status(unit.key).restarts == 0


async def what_runs_is_adopted_and_the_rest_is_ended(shop: Workshop) -> None:
    kept = await shop.write(RUN_ON, service="kept")
    gone = await shop.write(RUN_ON, service="gone")
    cold = await shop.write(RUN_ON, service="cold", slot=Slot.GREEN)
    dead = await shop.write(RUN_ON, service="dead")
    first = await shop.supervisor()
    for unit in (kept, gone, cold):
        await first.start(unit)
    pid = first.status(kept.key).pid
    await first.close(stop_units=False)
    await shop.write_job_template()
    shop.supervisors.clear()

    second = await shop.supervisor(kept, dead)
    assert second.status(kept.key).state is UnitState.RUNNING
    assert second.status(kept.key).pid == pid
    assert second.status(dead.key).state is UnitState.STOPPED
    assert second.units() == [kept.key]
    assert await shop.active(gone.key) == "inactive"
    assert await shop.active(cold.key) == "inactive"
    assert (shop.places.wanted / "blue").exists()
    assert not (shop.places.wanted / "green").exists()
    await second.start(kept)
    assert second.status(kept.key).pid == pid
    assert await second.stop(kept.key)


async def a_crash_loop_is_counted_until_the_start_limit(shop: Workshop) -> None:
    unit = await shop.write(
        # Not at once: under load, systemd may then call the start itself a failure.
        "until [ -e go ]; do sleep 0.02; done; exit 3\n",
        unit="StartLimitIntervalSec=60s\nStartLimitBurst=3",
        more="RestartSec=300ms",
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    (shop.work / "go").touch()
    await reaches(supervisor, unit, UnitState.BACKOFF)
    assert supervisor.status(unit.key).last_exit == "exit status 3"
    await eventually(
        lambda: "start limit" in (supervisor.status(unit.key).last_exit or ""),
        "the start limit is reached",
    )
    status = supervisor.status(unit.key)
    assert status.last_exit == "start limit hit: systemd no longer restarts it (exit status 3)"
    assert status.state is UnitState.BACKOFF
    assert status.restarts >= 2, status
    # Started on request, it counts anew, and the limit is forgotten.
    await shop.write(RUN_ON)
    await supervisor.start(unit)
    assert supervisor.status(unit.key).state is UnitState.RUNNING
    assert (supervisor.status(unit.key).restarts, supervisor.status(unit.key).last_exit) == (
        0,
        None,
    )


async def a_crash_is_counted_and_it_comes_back(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    for count in (1, 2):
        pid = supervisor.status(unit.key).pid
        assert pid is not None
        os.kill(pid, 9)
        await eventually(
            partial(has_restarted, supervisor, unit, count), f"the service was restarted: {count}"
        )
        await reaches(supervisor, unit, UnitState.RUNNING)
        assert supervisor.status(unit.key).last_exit == "killed by SIGKILL"
        assert supervisor.status(unit.key).pid != pid
    await supervisor.close(stop_units=False)
    shop.supervisors.clear()
    second = await shop.supervisor(unit)
    assert second.status(unit.key).restarts == 0
    pid = second.status(unit.key).pid
    assert pid is not None
    os.kill(pid, 9)
    await eventually(lambda: second.status(unit.key).restarts == 1, "the service was restarted")


def has_restarted(supervisor: SystemdSupervisor, unit: ServiceUnit, count: int) -> bool:
    return supervisor.status(unit.key).restarts == count


async def one_that_ignores_sigterm_is_killed(shop: Workshop) -> None:
    unit = await shop.write("trap '' TERM; echo deaf >deaf; while :; do sleep 0.1; done\n")
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await shop.line(shop.work / "deaf")
    stops = [asyncio.create_task(supervisor.stop(unit.key)) for _ in range(2)]
    assert await asyncio.gather(*stops) == [False, False]
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert "killed by SIGKILL" in (supervisor.status(unit.key).last_exit or "")
    assert await shop.active(unit.key) == "inactive"
    assert await supervisor.stop(unit.key)


async def what_forks_away_belongs_to_it(shop: Workshop) -> None:
    unit = await shop.write("setsid sh -c 'sleep 1000 & echo $! >child' &\nexec sleep 1000\n")
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    child = int(await shop.line(shop.work / "child"))
    main = supervisor.status(unit.key).pid
    assert await supervisor.processes(unit.key) >= {child, main}
    assert await supervisor.stop(unit.key)
    assert not is_alive(child)


async def out_of_memory_is_said(shop: Workshop) -> None:
    unit = await shop.write(
        "exec /usr/bin/python3 -c 'x = bytearray(1 << 28); import time; time.sleep(1000)'\n",
        more="MemoryMax=32M\nMemorySwapMax=0",
    )
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await eventually(
        lambda: supervisor.status(unit.key).last_exit == "out of memory (OOM kill)",
        "the end for want of memory is told",
    )


async def a_stop_by_an_administrator_is_noticed(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    await supervisor.start(unit)
    await command("systemctl", "stop", service_unit(unit.key))
    await eventually(
        lambda: shop.heard[-1].state is UnitState.STOPPED, "it was told that the service is stopped"
    )
    assert shop.heard[-1].last_exit == "stopped from outside (killed by SIGTERM)"
    await supervisor.start(unit)
    before = supervisor.status(unit.key)
    assert (before.restarts, before.last_exit) == (0, None), before
    await command("systemctl", "restart", service_unit(unit.key))
    await eventually(lambda: supervisor.status(unit.key).restarts == 1, "the service was restarted")
    await reaches(supervisor, unit, UnitState.RUNNING)
    assert supervisor.status(unit.key).pid != before.pid


async def a_unit_that_cannot_be_started_says_why(shop: Workshop) -> None:
    unit = await shop.write(RUN_ON)
    supervisor = await shop.supervisor()
    path = f"/etc/systemd/system/{service_unit(unit.key)}"
    await shop.write(RUN_ON, unit="ConditionPathExists=/nowhere")
    await refused(shop, unit, "ConditionPathExists=/nowhere",
                  "systemctl status")  # fmt: skip
    await shop.write(RUN_ON, more="ExecStart=\nExecStart=/no/such/program")
    await refused(shop, unit, "its command cannot be executed (203/EXEC)", "ExecStart=")
    await shop.write(RUN_ON, more="WorkingDirectory=/nowhere")
    await refused(shop, unit, "cannot be entered by its user (200/CHDIR)", "bluegreen apply")
    await shop.write(RUN_ON, more="User=nobody-of-that-name")
    await refused(shop, unit, "its user does not exist (217/USER)", "useradd")
    await shop.write(RUN_ON, more="ReadWritePaths=/nowhere")
    await refused(shop, unit, "its sandbox cannot be set up (226/NAMESPACE)", "directory")
    await shop.write(RUN_ON, more="ExecStart=/bin/true")
    await refused(shop, unit, "cannot be used (bad-setting)", "bluegreen apply")
    os.unlink(path)
    await command("systemctl", "daemon-reload")
    await refused(shop, unit, "there is no such unit", "bluegreen apply")
    await command("systemctl", "mask", service_unit(unit.key))
    await refused(shop, unit, "has masked it", "systemctl unmask")
    assert await supervisor.stop(unit.key)


async def refused(shop: Workshop, unit: ServiceUnit, message: str, remedy: str) -> None:
    supervisor = shop.supervisors[-1]
    error = await refusal(supervisor.start(unit))
    assert message in error.message, error.lines()
    assert remedy in error.remedy, error.lines()


async def one_that_notifies_is_up_when_it_says_so(shop: Workshop) -> None:
    unit = await shop.write(
        "until [ -e go ]; do sleep 0.05; done\nsystemd-notify --ready\nsleep 1000\n",
        more="Type=notify\nNotifyAccess=all",
    )
    supervisor = await shop.supervisor()
    starting = asyncio.create_task(supervisor.start(unit))
    await eventually(
        lambda: supervisor.status(unit.key).since is not None, "the service is being started"
    )
    done, _ = await asyncio.wait([starting], timeout=0.5)
    assert not done
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    (shop.work / "go").touch()
    await starting
    assert supervisor.status(unit.key).state is UnitState.RUNNING
    await supervisor.stop(unit.key)

    os.unlink(shop.work / "go")
    starting = asyncio.create_task(supervisor.start(unit))
    await eventually(partial(is_activating, shop, unit), "the service is being started")
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert await shop.active(unit.key) == "inactive"
    assert not (shop.places.wanted / "blue").exists()

    await shop.write("sleep 1000\n", more="Type=notify\nTimeoutStartSec=300ms")
    await refused(shop, unit, "not up within its start timeout", "systemctl status")


async def is_activating(shop: Workshop, unit: ServiceUnit) -> bool:
    return await shop.active(unit.key) == "activating"


async def the_log_comes_from_the_journal(shop: Workshop) -> None:
    unit = await shop.write(
        "echo; printf 'caf\\303\\251 \\033[1mbold\\033[0m \\377\\n'; exec sleep 1000\n"
    )
    supervisor = await shop.supervisor()
    for _ in range(2):
        await supervisor.start(unit)
        await eventually(partial(ends_in_bold, shop), "the journal has what it said last")
        await supervisor.stop(unit.key)
    await command("journalctl", "--sync")
    lines = await tail(shop)
    assert lines.count("café bold �") == 2, lines
    assert lines[-1].startswith("--- bluegreen: stopped"), lines
    assert len(await supervisor.log_tail(unit.key, 2)) == 2
    assert await supervisor.log_tail(unit.key, 0) == []


async def tail(shop: Workshop) -> list[str]:
    lines = await shop.supervisors[-1].log_tail(shop.key("api"), 50)
    return [line for line in lines if line and "bluegreen-" not in line]


async def ends_in_bold(shop: Workshop) -> bool:
    return (await tail(shop))[-1:] == ["café bold �"]


SCENARIOS = {
    function.__name__: function
    for function in (
        a_service_is_started_marked_and_stopped,
        another_version_or_unit_file_restarts_it,
        what_runs_is_adopted_and_the_rest_is_ended,
        a_crash_loop_is_counted_until_the_start_limit,
        a_crash_is_counted_and_it_comes_back,
        one_that_ignores_sigterm_is_killed,
        what_forks_away_belongs_to_it,
        a_stop_by_an_administrator_is_noticed,
        a_unit_that_cannot_be_started_says_why,
        one_that_notifies_is_up_when_it_says_so,
        the_log_comes_from_the_journal,
        *systemd_bus_scenarios.SCENARIOS,
        *systemd_job_scenarios.SCENARIOS,
        *systemd_refusal_scenarios.SCENARIOS,
        *systemd_log_scenarios.SCENARIOS,
        *systemd_reason_scenarios.SCENARIOS,
    )
}
NEED_MEMORY = {
    function.__name__: function
    for function in (out_of_memory_is_said, *systemd_reason_scenarios.NEED_MEMORY)
}


async def main(name: str) -> None:
    scenario = {**SCENARIOS, **NEED_MEMORY}[name]
    app = f"shop{os.getpid()}"
    async with asyncio.timeout(SCENARIO_SECONDS), workshop(app) as shop:
        await scenario(shop)


def serve() -> None:
    for name in sys.stdin:
        with tempfile.TemporaryFile() as output:
            pid = os.fork()
            if not pid:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.dup2(output.fileno(), 1)
                os.dup2(output.fileno(), 2)
                asyncio.run(main(name.strip()))
                return
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            output.seek(0)
            said = {"status": status, "output": output.read().decode(errors="replace")}
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    serve()
