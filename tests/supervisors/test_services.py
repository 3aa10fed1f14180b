"""Services of the embedded supervisor, with real processes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import textwrap
from pathlib import Path

import pytest

from bluegreen.errors import SupervisorError
from bluegreen.model import Slot, UnitKey, UnitState, UnitStatus
from bluegreen.processes import identify
from bluegreen.supervisors import service as service_module
from bluegreen.supervisors.embedded import EmbeddedSupervisor
from tests.supervisors.conftest import ENV, Workshop
from tests.supervisors.states import reaches
from tests.waiting import eventually

STRANGER = UnitKey(app="shop", slot=Slot.GREEN, service="nobody")
IGNORES_SIGTERM = "trap '' TERM; echo ready; while :; do sleep 1000 & wait $!; done"


def is_gone(pid: int) -> bool:
    return identify(pid) is None


async def test_a_started_service_runs_until_it_is_stopped(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000; :")
    await supervisor.start(unit)
    status = supervisor.status(unit.key)
    assert (status.state, status.restarts, status.last_exit) == (UnitState.RUNNING, 0, None)
    assert status.pid in await supervisor.processes(unit.key)
    assert supervisor.units() == [unit.key]
    assert workshop.records() == ["unit-shop.blue.api.json"]

    assert await supervisor.stop(unit.key)
    status = supervisor.status(unit.key)
    assert (status.state, status.pid) == (UnitState.STOPPED, None)
    assert status.last_exit == "killed by SIGTERM"
    assert await supervisor.processes(unit.key) == frozenset()
    assert (supervisor.units(), workshop.records()) == ([], [])


async def test_a_service_never_started_is_stopped(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    assert supervisor.status(STRANGER) == UnitStatus(key=STRANGER, state=UnitState.STOPPED)
    assert await supervisor.stop(STRANGER)
    assert await supervisor.processes(STRANGER) == frozenset()
    assert await supervisor.log_tail(STRANGER, 10) == []


async def test_every_change_is_told_in_order(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    seen: list[UnitState] = []
    supervisor.on_change = lambda status: seen.append(status.state)
    await supervisor.start(unit)
    pid = supervisor.status(unit.key).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: supervisor.status(unit.key).restarts == 1, "the service was restarted")
    await supervisor.stop(unit.key)
    await asyncio.sleep(0)
    assert [state.value for state in seen] == [
        "running", "backoff", "running", "stopping", "stopped",
    ]  # fmt: skip


async def test_starting_again_with_the_same_definition_changes_nothing(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    await supervisor.start(unit)
    before = supervisor.status(unit.key)
    await supervisor.start(dataclasses.replace(unit, stop_timeout=3))
    assert supervisor.status(unit.key) == before


@pytest.mark.parametrize("change", [{"argv": ("sleep", "999")}, {"env": {**ENV, "NEW": "1"}}])
async def test_another_definition_restarts_it(
    workshop: Workshop, change: dict[str, object]
) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    await supervisor.start(unit)
    before = supervisor.status(unit.key).pid
    assert before is not None
    await supervisor.start(dataclasses.replace(unit, **change))  # type: ignore[arg-type]
    assert supervisor.status(unit.key).pid != before
    assert supervisor.status(unit.key).restarts == 0
    assert is_gone(before)


async def test_what_ignores_sigterm_is_killed_with_its_children(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(IGNORES_SIGTERM, stop_timeout=0.2)
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    assert not await supervisor.stop(unit.key)
    assert supervisor.status(unit.key).last_exit == "killed by SIGKILL"


async def test_a_slow_graceful_stop_is_waited_for(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(
        "trap 'until [ -e go ]; do sleep 0.05; done; exit 7' TERM; echo ready;"
        " while :; do sleep 0.05; done"
    )
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    stopping = asyncio.create_task(supervisor.stop(unit.key))
    await reaches(supervisor, unit, UnitState.STOPPING)
    (workshop.root / "go").touch()
    assert await stopping
    assert supervisor.status(unit.key).last_exit == "exit status 7"


async def test_grandchildren_and_daemons_that_leave_the_session_are_stopped(
    workshop: Workshop,
) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(
        "(sleep 1000 & echo orphan $!) & wait;"
        " setsid sh -c 'echo daemon $$; exec sleep 1000' & wait; sleep 1000"
    )
    unit = dataclasses.replace(
        unit, argv=("sh", "-c", unit.argv[2].replace("& wait; sleep", "& sleep"))
    )
    await supervisor.start(unit)
    pids = [int(await workshop.line(unit.log_file, f"{who} ")) for who in ("orphan", "daemon")]

    async def all_are_found() -> bool:
        return set(pids) < await supervisor.processes(unit.key)

    # Within an exec the kernel shows no environment for a moment.
    await eventually(all_are_found, "those that have left are found")
    assert await supervisor.stop(unit.key)
    assert all(is_gone(pid) for pid in pids)


async def test_a_frozen_service_is_stopped_gracefully(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("kill -STOP $$; sleep 1000")
    await supervisor.start(unit)
    status_file = Path(f"/proc/{supervisor.status(unit.key).pid}/status")
    await eventually(lambda: "T (stopped)" in status_file.read_text(), "the service is frozen")
    assert await supervisor.stop(unit.key)


async def test_a_crash_is_restarted_and_counted_and_its_leftovers_killed(
    workshop: Workshop,
) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit("sleep 1000 & echo left $!; [ -e again ] && wait; touch again; exit 3")
    await supervisor.start(unit)
    left = int(await workshop.line(unit.log_file, "left "))
    await eventually(lambda: supervisor.status(unit.key).restarts == 1, "the service was restarted")
    status = supervisor.status(unit.key)
    assert (status.state, status.last_exit) == (UnitState.RUNNING, "exit status 3")
    assert is_gone(left)
    tail = "\n".join(await supervisor.log_tail(unit.key, 10))
    assert f"--- bluegreen: started pid {status.pid} at " in tail
    assert "ended: exit status 3, restart in 0.5 s" in tail


async def test_a_crash_loop_backs_off_and_can_be_stopped_and_started(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(service_module, "LONGEST_DELAY", 0.04)
    supervisor, unit = await workshop.supervisor(), workshop.unit("no-such-command")
    await supervisor.start(unit)
    await eventually(
        lambda: supervisor.status(unit.key).restarts >= 4, "the service was restarted four times"
    )
    log = unit.log_file.read_text()
    delays = [
        line.split("restart in ")[1].split()[0] for line in log.split("\n") if "ended" in line
    ]
    assert delays[:4] == ["0.01", "0.02", "0.04", "0.04"]
    assert supervisor.status(unit.key).last_exit == "exit status 127 (command not found)"

    monkeypatch.setattr(service_module, "LONGEST_DELAY", 1000)
    await supervisor.stop(unit.key)
    monkeypatch.setattr(service_module, "FIRST_DELAY", 1000)
    await supervisor.start(unit)
    await reaches(supervisor, unit, UnitState.BACKOFF)
    await supervisor.start(dataclasses.replace(unit, argv=("sleep", "1000")))  # does not wait
    assert supervisor.status(unit.key).restarts == 0
    await supervisor.stop(unit.key)
    await supervisor.start(unit)
    await reaches(supervisor, unit, UnitState.BACKOFF)
    assert await supervisor.stop(unit.key)
    assert supervisor.status(unit.key).state is UnitState.STOPPED


async def test_a_steady_service_starts_over_with_the_first_delay(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "FIRST_DELAY", 0.01)
    monkeypatch.setattr(service_module, "STEADY_AFTER", 0.0)
    supervisor, unit = await workshop.supervisor(), workshop.unit("exit 0")
    await supervisor.start(unit)
    await eventually(
        lambda: supervisor.status(unit.key).restarts >= 3, "the service was restarted three times"
    )
    assert "restart in 0.02 s" not in unit.log_file.read_text()


async def test_a_restart_that_fails_is_tried_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service_module, "FIRST_DELAY", 0.01)
    supervisor = await workshop.supervisor()
    place, away = workshop.root / "place", workshop.root / "away"
    place.mkdir()
    unit = dataclasses.replace(workshop.unit("sleep 1000"), cwd=place)
    await supervisor.start(unit)
    place.rename(away)
    pid = supervisor.status(unit.key).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    text = "its directory"
    await eventually(
        lambda: text in str(supervisor.status(unit.key).last_exit),
        "the restart has failed for want of its directory",
    )
    assert supervisor.status(unit.key).state is UnitState.BACKOFF
    away.rename(place)
    await reaches(supervisor, unit, UnitState.RUNNING)
    assert {vars(record)["app"] for record in caplog.records} == {"shop"}


async def test_what_cannot_be_started_says_why(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    with pytest.raises(SupervisorError, match=r"directory .*/gone does not exist"):
        await supervisor.start(dataclasses.replace(unit, cwd=workshop.root / "gone"))
    (workshop.root / "file").touch()
    with pytest.raises(SupervisorError, match="cannot be opened: File exists"):
        await supervisor.start(dataclasses.replace(unit, log_file=workshop.root / "file/log"))
    with pytest.raises(SupervisorError, match="null byte"):
        await supervisor.start(dataclasses.replace(unit, argv=("a\0b",)))
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert workshop.records() == []


async def test_what_cannot_be_recorded_is_not_started(workshop: Workshop) -> None:
    workshop.layout.run.mkdir(parents=True)
    supervisor, unit = await workshop.supervisor(), workshop.unit("touch started")
    workshop.layout.process_records.write_text("in the way")
    with pytest.raises(SupervisorError, match="cannot be recorded"):
        await supervisor.start(unit)
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert not (workshop.root / "started").exists()
    workshop.layout.process_records.unlink()


async def test_two_stops_at_once_are_one(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(IGNORES_SIGTERM, stop_timeout=0.2)
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    graceful = await asyncio.gather(supervisor.stop(unit.key), supervisor.stop(unit.key))
    assert not any(graceful)
    assert unit.log_file.read_text().count("stopped pid") == 1


async def test_requests_are_served_in_their_order(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    await supervisor.start(unit)
    first = supervisor.status(unit.key).pid
    await asyncio.gather(supervisor.stop(unit.key), supervisor.start(unit))
    second = supervisor.status(unit.key)
    assert second.state is UnitState.RUNNING
    assert second.pid != first
    await asyncio.gather(
        supervisor.stop(unit.key), supervisor.start(unit), supervisor.stop(unit.key)
    )
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    await asyncio.gather(supervisor.start(unit), supervisor.stop(unit.key))
    assert supervisor.status(unit.key).state is UnitState.STOPPED


async def test_a_stop_goes_on_without_its_caller(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(IGNORES_SIGTERM, stop_timeout=0.3)
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    caller = asyncio.create_task(supervisor.stop(unit.key))
    await reaches(supervisor, unit, UnitState.STOPPING)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await reaches(supervisor, unit, UnitState.STOPPED)


@pytest.mark.parametrize("steps", range(12))
async def test_a_start_cancelled_anywhere_is_done_or_leaves_nothing(
    workshop: Workshop, steps: int
) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    starting = asyncio.create_task(supervisor.start(unit))
    for _ in range(steps):
        await asyncio.sleep(0)
    starting.cancel()
    await asyncio.wait([starting])
    running = supervisor.status(unit.key).state is UnitState.RUNNING
    assert running == (await supervisor.processes(unit.key) != frozenset())
    assert running == (workshop.records() != [])
    assert starting.cancelled() or running


async def test_a_cancelled_restart_with_another_definition_leaves_it_stopped(
    workshop: Workshop,
) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(IGNORES_SIGTERM, stop_timeout=1000)
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    starting = asyncio.create_task(supervisor.start(workshop.unit("sleep 1000")))
    await reaches(supervisor, unit, UnitState.STOPPING)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert workshop.records() == []


async def test_a_hundred_services_start_and_stop(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    units = [
        # Longer than a hundred stops at once take on a busy machine.
        workshop.unit("sleep 1000; :", service=f"s{number}", stop_timeout=60)
        for number in range(100)
    ]
    await asyncio.gather(*(supervisor.start(unit) for unit in units))
    running = await asyncio.gather(*(supervisor.processes(unit.key) for unit in units))
    pids = frozenset[int]().union(*running)
    assert len(pids) >= 100
    assert len(supervisor.units()) == len(workshop.records()) == 100
    assert all(await asyncio.gather(*(supervisor.stop(unit.key) for unit in units)))
    assert all(is_gone(pid) for pid in pids)
    assert (supervisor.units(), workshop.records()) == ([], [])


async def test_closing_leaves_services_running_or_stops_them(workshop: Workshop) -> None:
    supervisor, unit = await workshop.supervisor(), workshop.unit("sleep 1000")
    await supervisor.start(unit)
    pid = supervisor.status(unit.key).pid
    assert pid is not None
    await supervisor.close(stop_units=False)
    assert not is_gone(pid)
    successor = await workshop.supervisor(unit)
    assert successor.status(unit.key).pid == pid
    await successor.close(stop_units=True)
    assert is_gone(pid)
    assert workshop.records() == []


async def test_closing_finishes_a_stop_that_is_under_way(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    unit = workshop.unit(IGNORES_SIGTERM, stop_timeout=1000)
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "ready")
    stopping = asyncio.create_task(supervisor.stop(unit.key))
    await reaches(supervisor, unit, UnitState.STOPPING)
    await supervisor.close(stop_units=False)
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert workshop.records() == []


async def test_a_service_gets_the_limit_on_open_files_that_the_daemon_came_with(
    workshop: Workshop,
) -> None:
    code = f"""
        import asyncio, resource
        from pathlib import Path
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, 2048))
        from bluegreen.layout import Layout
        from bluegreen.model import Job
        from bluegreen.supervisors.embedded import EmbeddedSupervisor

        async def main():
            root = Path({str(workshop.root)!r})
            supervisor = EmbeddedSupervisor(Layout(root / "inner"))
            await supervisor.open([])
            await supervisor.run(Job(app="shop", name="limit", argv=("sh", "-c", "ulimit -S -n"),
                                     cwd=root, env={ENV!r}, timeout=60,
                                     log_file=root / "limit.log"))
            print(resource.getrlimit(resource.RLIMIT_NOFILE)[0], flush=True)
            await supervisor.close(stop_units=True)

        asyncio.run(main())
    """
    unit = workshop.python(textwrap.dedent(code) + "import time; time.sleep(1000)")
    supervisor: EmbeddedSupervisor = await workshop.supervisor()
    await supervisor.start(unit)
    await workshop.line(unit.log_file, "2048")
    assert (workshop.root / "limit.log").read_text() == "512\n"
