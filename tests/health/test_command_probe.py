from __future__ import annotations

import asyncio
import sys

import pytest

from bluegreen.config.questions import Probe
from bluegreen.errors import SupervisorError
from bluegreen.health.attempt import probe_once
from bluegreen.model import Address, Job, JobResult
from tests.health.conftest import StartStranger
from tests.health.slot import FakeSlot


def command(run: str, *, timeout: str = "20s", name: str | None = None) -> Probe:
    return Probe.model_validate(
        {"service": "api", "name": name, "command": {"run": run}, "timeout": timeout}
    )


async def test_exit_status_0_passes(slot: FakeSlot) -> None:
    result = await probe_once(slot.target, command("sh -c 'echo all {version} well'"))
    assert (result.passed, result.answer) == (True, "exit status 0: all v2 well")


async def test_another_exit_status_shows_the_last_line_of_output(slot: FakeSlot) -> None:
    result = await probe_once(slot.target, command("sh -c 'echo first; echo why; echo; exit 3'"))
    assert (result.passed, result.answer) == (False, "exit status 3: why")


async def test_the_output_of_an_earlier_attempt_is_not_shown_again(slot: FakeSlot) -> None:
    await probe_once(slot.target, command("echo before"))
    result = await probe_once(slot.target, command("false"))
    assert (result.passed, result.answer) == (False, "exit status 1")


async def test_it_runs_in_the_tree_with_the_services_environment(slot: FakeSlot) -> None:
    await probe_once(slot.target, command("sh -c 'echo $NAME >found'", name="smoke"))
    assert (slot.root / "found").read_text() == "api\n"
    assert (slot.root / "logs" / "gate-api-smoke.log").exists()


async def test_no_shell_reads_the_command(slot: FakeSlot) -> None:
    result = await probe_once(slot.target, command("echo {slot}; exit 1"))
    assert (result.passed, result.answer) == (True, "exit status 0: green; exit 1")


async def test_jobs_that_run_at_once_have_names_of_their_own(slot: FakeSlot) -> None:
    probe = command("true")
    await asyncio.gather(*(probe_once(slot.target, probe) for _ in range(3)))
    assert len({job.name for job in slot.jobs.jobs}) == 3


async def test_a_command_out_of_time_does_not_pass(slot: FakeSlot) -> None:
    probe = command(f"{sys.executable} -c 'import time; time.sleep(60)'", timeout="200ms")
    result = await probe_once(slot.target, probe)
    assert (result.passed, result.answer) == (False, "timed out after 0.2 s")


async def test_a_command_that_cannot_be_started_is_an_answer(
    slot: FakeSlot, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(job: Job) -> JobResult:
        raise SupervisorError(f"{job.cwd} is missing", remedy="…")

    monkeypatch.setattr(slot.jobs, "run", run)
    result = await probe_once(slot.target, command("true"))
    assert (result.passed, result.answer) == (False, f"{slot.root} is missing")


async def test_it_is_not_run_while_a_stranger_holds_the_services_address(
    slot: FakeSlot, start_stranger: StartStranger
) -> None:
    path = slot.root / "api.sock"
    slot.addresses["api"] = Address(socket=path)
    pid = await start_stranger(path)
    result = await probe_once(slot.target, command("true"))
    assert not result.passed
    assert f"pid {pid}" in result.answer
    assert slot.jobs.jobs == []
