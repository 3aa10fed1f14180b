"""Jobs of the embedded supervisor, with real processes."""

from __future__ import annotations

import asyncio
import dataclasses

import pytest

from bluegreen.errors import SupervisorError
from bluegreen.processes import identify
from bluegreen.supervisors import jobs
from bluegreen.supervisors.logs import JOB_LOG_BYTES, KEPT_BYTES
from tests.supervisors.conftest import Workshop
from tests.waiting import eventually


async def test_a_job_runs_to_its_end_and_its_output_is_kept(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job("echo out; echo err >&2")
    result = await supervisor.run(job)
    assert result.ok
    assert result.ending == "exit status 0"
    await supervisor.run(job)
    assert job.log_file.read_text() == "out\nerr\n" * 2
    assert workshop.records() == []


@pytest.mark.parametrize(
    ("script", "status", "ending"),
    [
        ("exit 3", 3, "exit status 3"),
        ("kill -KILL $$", None, "killed by SIGKILL"),
        ("no-such-command", 127, "exit status 127 (command not found)"),
    ],
)
async def test_how_a_job_failed_is_told(
    workshop: Workshop, script: str, status: int | None, ending: str
) -> None:
    result = await (await workshop.supervisor()).run(workshop.job(script))
    assert not result.ok
    assert (result.exit_status, result.ending) == (status, ending)


async def test_out_of_time_the_whole_session_is_killed(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job("trap '' TERM; sleep 1000 & echo child $!; wait", timeout=1.5)
    result = await supervisor.run(job)
    assert (result.exit_status, result.ending) == (None, "timed out after 1.5 s")
    assert identify(int(await workshop.line(job.log_file, "child "))) is None
    assert workshop.records() == []


async def test_the_processes_of_a_job_are_known_while_it_runs(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job("sleep 1000 & echo child $!; wait")
    other = dataclasses.replace(workshop.job("sleep 1000"), name="other")
    running = [asyncio.create_task(supervisor.run(one)) for one in (job, other)]
    child = int(await workshop.line(job.log_file, "child "))
    found = await supervisor.job_processes(job.name)
    assert child in found
    assert not found & await supervisor.job_processes("other")
    assert await supervisor.job_control_groups(job.name) == frozenset()
    for task in running:
        task.cancel()
    await asyncio.wait(running)
    assert await supervisor.job_processes(job.name) == frozenset()


async def test_cancelled_the_whole_session_is_killed_first(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job("sleep 1000 & echo child $!; wait")
    running = asyncio.create_task(supervisor.run(job))
    child = int(await workshop.line(job.log_file, "child "))
    assert len(workshop.records()) == 1
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert identify(child) is None
    assert workshop.records() == []


@pytest.mark.parametrize("steps", range(10))
async def test_a_job_cancelled_as_it_starts_leaves_nothing(workshop: Workshop, steps: int) -> None:
    supervisor = await workshop.supervisor()
    running = asyncio.create_task(supervisor.run(workshop.job("sleep 1000")))
    for _ in range(steps):
        await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert workshop.records() == []


async def test_what_a_job_leaves_running_is_killed(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job("sleep 1000 & echo child $!; setsid sleep 1000 & echo daemon $!; exit 0")
    assert (await supervisor.run(job)).ok
    for who in ("child ", "daemon "):
        assert identify(int(await workshop.line(job.log_file, who))) is None


async def test_jobs_of_one_name_run_beside_each_other(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    # Each ends only when all have begun.
    script = "touch begun-$$; until [ $(ls begun-* | wc -l) -ge 10 ]; do sleep 0.02; done"
    jobs = [workshop.job(script, name="a/b c") for _ in range(10)]
    jobs = [dataclasses.replace(job, log_file=workshop.root / "log") for job in jobs]
    results = await asyncio.gather(*(supervisor.run(job) for job in jobs))
    assert all(result.ok for result in results)
    assert workshop.records() == []


async def test_a_job_that_cannot_be_started_says_why(workshop: Workshop) -> None:
    supervisor = await workshop.supervisor()
    job = dataclasses.replace(workshop.job("true"), cwd=workshop.root / "gone")
    with pytest.raises(SupervisorError, match="job was not started: its directory"):
        await supervisor.run(job)


LINES = 10_000_000  # of numbers: 79 MB


async def test_output_that_is_too_long_lacks_its_middle_while_it_runs_and_says_so(
    workshop: Workshop,
) -> None:
    supervisor = await workshop.supervisor()
    job = workshop.job(f"seq 1 {LINES}; touch printed; until [ -e go ]; do sleep 0.02; done; seq 3")
    running = asyncio.create_task(supervisor.run(job))
    await eventually((job.cwd / "printed").exists, "it has printed")

    def is_shortened() -> bool:
        return 2 * KEPT_BYTES < job.log_file.stat().st_size <= JOB_LOG_BYTES

    await eventually(is_shortened, "the log is shortened")
    (job.cwd / "go").touch()
    assert (await running).ok
    shown = job.log_file.read_text().splitlines()
    assert shown[:3] == ["1", "2", "3"]
    assert shown[-4:] == [str(LINES), "1", "2", "3"]
    (said,) = [line for line in shown if "bluegreen" in line]
    assert "bytes were left out here" in said
    rest = [line for line in shown if line and line != said][:-4]
    assert all(line.isdecimal() for line in rest)


async def test_output_is_shortened_when_the_job_ends(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOOK_INTERVAL", 3600.0)
    job = workshop.job(f"seq 1 {LINES}")
    assert (await (await workshop.supervisor()).run(job)).ok
    assert job.log_file.stat().st_size <= JOB_LOG_BYTES
