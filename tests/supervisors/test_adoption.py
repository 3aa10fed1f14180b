"""What a daemon finds and does when an earlier one has been killed."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import signal
import subprocess
import sys
import textwrap

import pytest

from bluegreen.model import Job, ServiceUnit, UnitState
from bluegreen.processes import ProcessIdentity, Session, identify, is_alive
from bluegreen.supervisors import embedded as embedded_module
from bluegreen.supervisors.records import ProcessRecord, ProcessRecords
from tests.supervisors.conftest import ENV, Workshop
from tests.waiting import eventually

DAEMON = """
    import asyncio, pickle, sys
    from bluegreen.layout import Layout
    from bluegreen.model import Job
    from bluegreen.supervisors.embedded import EmbeddedSupervisor

    async def main():
        root, *work = pickle.load(sys.stdin.buffer)
        supervisor = EmbeddedSupervisor(Layout(root))
        await supervisor.open([])
        jobs = [asyncio.create_task(supervisor.run(job)) for job in work if isinstance(job, Job)]
        for unit in work:
            if not isinstance(unit, Job):
                await supervisor.start(unit)
                print(supervisor.status(unit.key).pid, flush=True)
        await asyncio.Event().wait()

    asyncio.run(main())
"""


async def daemon_killed(workshop: Workshop, *work: ServiceUnit | Job) -> list[int]:
    """A daemon that starts units and jobs and is then SIGKILLed; the PIDs of the units."""
    daemon = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(DAEMON),
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert daemon.stdin is not None
    assert daemon.stdout is not None
    daemon.stdin.write(pickle.dumps([workshop.root, *work]))
    daemon.stdin.close()
    pids = [int(await daemon.stdout.readline()) for unit in work if isinstance(unit, ServiceUnit)]
    await eventually(
        lambda: len(workshop.records()) == len(work), "all that was started is recorded"
    )
    for job in work:
        if isinstance(job, Job):
            await workshop.line(job.log_file, "begun")
    daemon.kill()
    await daemon.communicate()
    return pids


def session_leader(*argv: str) -> subprocess.Popen[bytes]:
    """A process that none of ours has started, leading a session as a login shell does."""
    return subprocess.Popen(
        argv or ["sleep", "1000"], start_new_session=True, stdout=subprocess.PIPE
    )


def session_of(pid: int) -> Session:
    identity = identify(pid)
    assert identity is not None
    return Session(leader=identity, invocation="0" * 32)


def record(unit: ServiceUnit, session: Session) -> ProcessRecord:
    return ProcessRecord(
        session=session, key=unit.key, name=str(unit.key), definition="", stop_timeout=1,
        started_at=1.0,
    )  # fmt: skip


async def test_a_running_service_is_adopted_and_kept(workshop: Workshop) -> None:
    unit = workshop.unit("echo line; sleep 1000; :")
    [pid] = await daemon_killed(workshop, unit)
    supervisor = await workshop.supervisor(unit)
    status = supervisor.status(unit.key)
    assert (status.state, status.pid) == (UnitState.RUNNING, pid)
    assert pid in await supervisor.processes(unit.key)
    await supervisor.start(unit)
    assert supervisor.status(unit.key) == status

    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: supervisor.status(unit.key).restarts == 1, "the service was restarted")
    assert "started by an earlier daemon" in str(supervisor.status(unit.key).last_exit)
    assert await supervisor.stop(unit.key)
    assert workshop.records() == []


async def test_an_adopted_service_is_stopped_with_all_its_processes(workshop: Workshop) -> None:
    unit = workshop.unit(
        "trap '' TERM; sleep 1000 & echo child $!; while :; do sleep 0.1; done", stop_timeout=0.3
    )
    [pid] = await daemon_killed(workshop, unit)
    child = int(await workshop.line(unit.log_file, "child "))
    supervisor = await workshop.supervisor(unit)
    assert not await supervisor.stop(unit.key)
    assert identify(pid) is identify(child) is None
    assert workshop.records() == []


async def test_an_adopted_service_with_another_definition_runs_on_until_it_is_started(
    workshop: Workshop,
) -> None:
    unit = workshop.unit("sleep 1000; :")
    [pid] = await daemon_killed(workshop, unit)
    changed = dataclasses.replace(unit, env={**ENV, "NEW": "1"})
    supervisor = await workshop.supervisor(changed)
    assert supervisor.status(unit.key).pid == pid
    await supervisor.start(changed)
    assert supervisor.status(unit.key).pid != pid
    assert identify(pid) is None


async def test_what_is_not_wanted_any_more_is_ended(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_module, "ORPHAN_STOP_TIMEOUT", 0.2)
    kind = workshop.unit("sleep 1000; :", service="kind")
    stubborn = workshop.unit(
        "trap '' TERM; echo ready; while :; do sleep 0.1; done", service="stubborn"
    )
    job = workshop.job("echo begun; sleep 1000 & echo child $!; wait")
    pids = await daemon_killed(workshop, kind, stubborn, job)
    await workshop.line(stubborn.log_file, "ready")
    pids.append(int(await workshop.line(job.log_file, "child ")))
    supervisor = await workshop.supervisor()
    assert [identify(pid) for pid in pids] == [None] * 3
    assert (supervisor.units(), workshop.records()) == ([], [])


async def test_a_service_that_ended_meanwhile_is_stopped_and_its_leftovers_killed(
    workshop: Workshop,
) -> None:
    unit = workshop.unit("sleep 1000 & echo child $!; wait")
    [pid] = await daemon_killed(workshop, unit)
    child = int(await workshop.line(unit.log_file, "child "))
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: identify(pid) is None, "the service has ended")
    assert identify(child) is not None
    supervisor = await workshop.supervisor(unit)
    status = supervisor.status(unit.key)
    assert (status.state, status.last_exit) == (
        UnitState.STOPPED,
        "ended while no daemon was running",
    )
    assert identify(child) is None
    assert workshop.records() == []


@pytest.mark.parametrize("wanted", [True, False])
async def test_a_process_that_got_the_pid_of_a_recorded_one_is_left_alone(
    workshop: Workshop, wanted: bool
) -> None:
    unit = workshop.unit("sleep 1000")
    with session_leader() as stranger:
        session = session_of(stranger.pid)
        ticks = session.leader.start_ticks - 1
        earlier = dataclasses.replace(
            session, leader=dataclasses.replace(session.leader, start_ticks=ticks)
        )
        ProcessRecords(workshop.layout.process_records).write(record(unit, earlier))
        supervisor = await workshop.supervisor(*[unit] * wanted)
        assert supervisor.status(unit.key).state is UnitState.STOPPED
        assert is_alive(session.leader)
        assert workshop.records() == []
        stranger.kill()


async def test_a_strangers_session_with_a_recorded_number_is_left_alone(workshop: Workshop) -> None:
    # Its leader has ended, so that nothing but its number can be compared.
    shell = session_leader("sh", "-c", "sleep 1000 >/dev/null & echo $!")
    out, _ = shell.communicate()
    stranger = identify(int(out))
    assert stranger is not None
    ended = ProcessIdentity(pid=shell.pid, start_ticks=1, boot_id=stranger.boot_id)
    unit = workshop.unit("sleep 1000")
    ProcessRecords(workshop.layout.process_records).write(
        record(unit, Session(leader=ended, invocation="0" * 32))
    )
    await workshop.supervisor(unit)
    assert is_alive(stranger)
    os.kill(stranger.pid, signal.SIGKILL)


async def test_records_of_an_earlier_boot_name_nothing(workshop: Workshop) -> None:
    unit = workshop.unit("sleep 1000")
    with session_leader() as stranger:
        session = session_of(stranger.pid)
        earlier = dataclasses.replace(session.leader, boot_id="an earlier boot")
        ProcessRecords(workshop.layout.process_records).write(
            record(unit, dataclasses.replace(session, leader=earlier))
        )
        supervisor = await workshop.supervisor(unit)
        assert supervisor.status(unit.key).state is UnitState.STOPPED
        assert is_alive(session.leader)
        stranger.kill()


async def test_a_zombie_is_not_adopted(workshop: Workshop) -> None:
    unit = workshop.unit("sleep 1000")
    zombie = session_leader()
    ProcessRecords(workshop.layout.process_records).write(record(unit, session_of(zombie.pid)))
    zombie.kill()
    await eventually(lambda: identify(zombie.pid) is None, "the process is a zombie")
    supervisor = await workshop.supervisor(unit)
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    zombie.communicate()


async def test_the_output_written_while_no_daemon_runs_is_kept(workshop: Workshop) -> None:
    unit = workshop.unit("until [ -e go ]; do sleep 0.05; done; echo meanwhile; sleep 1000; :")
    await daemon_killed(workshop, unit)
    (workshop.root / "go").touch()
    await workshop.line(unit.log_file, "meanwhile")
    supervisor = await workshop.supervisor(unit)
    assert "meanwhile" in await supervisor.log_tail(unit.key, 5)
