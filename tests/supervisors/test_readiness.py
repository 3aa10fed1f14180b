"""Services that say when they are ready, as children of the daemon's."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys

import pytest

from bluegreen.config.secrets import Secret
from bluegreen.errors import SupervisorError
from bluegreen.model import ServiceUnit, UnitState
from bluegreen.processes import identify
from bluegreen.supervisors import service as service_module
from tests.supervisors.conftest import Workshop
from tests.supervisors.states import reaches
from tests.waiting import eventually

SAY = """
import os, socket
def say(*messages):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
        for message in messages:
            out.sendto(message, "\\0" + os.environ["NOTIFY_SOCKET"].removeprefix("@"))
"""
WAIT = """
import time
print("begun", flush=True)
while not os.path.exists("go"):
    time.sleep(0.01)
"""
STAY = "\ntime.sleep(1000)\n"


def notifying(workshop: Workshop, code: str) -> ServiceUnit:
    unit = workshop.python(SAY + "import time\n" + code)
    return dataclasses.replace(unit, ready_within=60)


async def begun(workshop: Workshop, unit: ServiceUnit) -> None:
    await workshop.line(unit.log_file, "begun")


async def test_it_is_up_when_one_of_its_processes_says_so(workshop: Workshop) -> None:
    unit = notifying(
        workshop,
        "say(b'STATUS=READY=1', b'NOTREADY=1', b'READY=10')" + WAIT
        + "if os.fork() == 0:\n    say(b'STATUS=serving\\nREADY=1\\nMAINPID=1')\n    os._exit(0)"
        + STAY,
    )  # fmt: skip
    supervisor = await workshop.supervisor()
    starting = asyncio.create_task(supervisor.start(unit))
    await begun(workshop, unit)
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert not starting.done()
    (workshop.root / "go").touch()
    await starting
    status = supervisor.status(unit.key)
    assert (status.state, status.restarts, status.last_exit) == (UnitState.RUNNING, 0, None)
    await supervisor.start(unit)
    assert supervisor.status(unit.key).pid == status.pid


async def test_one_that_does_not_say_so_in_time_is_ended_and_refused(workshop: Workshop) -> None:
    # A shell, as it is there at once: a Python may need longer on a busy machine.
    unit = workshop.unit("echo token is $TOKEN; exec sleep 1000")
    unit = dataclasses.replace(unit, ready_within=2, env={**unit.env, "TOKEN": Secret("t0ps3cret")})
    supervisor = await workshop.supervisor()
    with pytest.raises(SupervisorError) as refused:
        await supervisor.start(unit)
    assert "did not say within 2 s that it was ready" in refused.value.message
    assert "log | token is ***" in refused.value.detail
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    pid = int((await workshop.line(unit.log_file, "--- bluegreen: started pid ")).split()[0])
    assert identify(pid) is None
    assert workshop.records() == []


async def test_one_that_ends_before_is_refused_with_its_ending(workshop: Workshop) -> None:
    unit = notifying(workshop, "print('no database', flush=True)\nraise SystemExit(3)")
    supervisor = await workshop.supervisor()
    with pytest.raises(SupervisorError) as refused:
        await supervisor.start(unit)
    assert "it ended before it said that it was ready: exit status 3" in refused.value.message
    assert "log | no database" in refused.value.detail
    assert supervisor.status(unit.key).state is UnitState.STOPPED


async def test_a_start_that_is_cancelled_leaves_nothing(workshop: Workshop) -> None:
    unit = notifying(workshop, WAIT + STAY)
    supervisor = await workshop.supervisor()
    starting = asyncio.create_task(supervisor.start(unit))
    await begun(workshop, unit)
    starting.cancel()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    assert workshop.records() == []


async def test_after_a_crash_it_is_up_when_it_says_so_again(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "FIRST_DELAY", 0.02)
    unit = notifying(workshop, WAIT + "say(b'READY=1')" + STAY)
    supervisor = await workshop.supervisor()
    (workshop.root / "go").touch()
    await supervisor.start(unit)
    (workshop.root / "go").unlink()
    pid = supervisor.status(unit.key).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: unit.log_file.read_text().count("begun") == 2, "it has begun again")
    assert supervisor.status(unit.key).state is UnitState.BACKOFF
    (workshop.root / "go").touch()
    await reaches(supervisor, unit, UnitState.RUNNING)
    assert supervisor.status(unit.key).restarts == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
async def test_nobody_elses_word_counts(workshop: Workshop) -> None:
    forge = (
        f"import subprocess\nsubprocess.run([{sys.executable!r}, '-c', "
        "'import os, socket; os.setuid(65534)\\n' + SOURCE + 'say(b\"READY=1\")'], check=True)\n"
    )
    code = f"SOURCE = {SAY!r}\n{forge}print('forged', flush=True)"
    unit = notifying(workshop, code + WAIT + "say(b'READY=1')" + STAY)
    supervisor = await workshop.supervisor()
    starting = asyncio.create_task(supervisor.start(unit))
    assert await workshop.line(unit.log_file, "forged") == ""
    done, _ = await asyncio.wait([starting], timeout=0.3)
    assert not done
    assert supervisor.status(unit.key).state is UnitState.STOPPED
    (workshop.root / "go").touch()
    await starting
