"""Scenarios of jobs on a systemd host (see systemd_scenarios)."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import stat
import sys
from pathlib import Path

from bluegreen.model import Job
from bluegreen.supervisors.logs import JOB_LOG_BYTES
from tests.supervisors.systemd_workshop import USER, Workshop, command, is_alive, refusal
from tests.waiting import eventually


async def a_job_runs_as_the_apps_user(shop: Workshop) -> None:
    supervisor = await shop.supervisor()
    for kind in ("exec", "oneshot"):
        await shop.write_job_template(f"Type={kind}")
        job = dataclasses.replace(
            shop.job("id -un; pwd; echo $COLOUR; echo err >&2", name=kind), env={"COLOUR": "red"}
        )
        result = await supervisor.run(job)
        assert result.ok, (result, job.log_file.read_text())
        assert result.ending == "exit status 0"
        assert job.log_file.read_text() == f"{USER}\n{shop.work}\nred\nerr\n"
        await shop.no_job_is_left()


async def what_a_job_is_to_do_is_for_the_app_alone(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    job = shop.job("touch begun; until [ -e go ]; do sleep 0.02; done")
    running = asyncio.create_task(supervisor.run(job))
    await eventually(lambda: (shop.work / "begun").exists(), "the job has begun")
    for file in shop.places.jobs.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == (0o640 if file.suffix == ".json" else 0o620)
        assert file.group() == USER
        if file.suffix == ".json":
            assert set(json.loads(file.read_text())) == {"argv", "cwd", "env"}
    (shop.work / "go").touch()
    assert (await running).ok


async def the_processes_of_a_job_are_known_while_it_runs(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    job = shop.job("sleep 1000 & echo $! >child; wait")
    assert await supervisor.job_processes(job.name) == frozenset()
    running = asyncio.create_task(supervisor.run(job))
    file = shop.work / "child"
    await eventually(lambda: file.exists() and file.read_text() != "", "the job has begun")
    assert int(file.read_text()) in await supervisor.job_processes(job.name)
    assert await supervisor.job_control_groups(job.name)
    running.cancel()
    await asyncio.wait([running])
    assert await supervisor.job_processes(job.name) == frozenset()
    assert await supervisor.job_control_groups(job.name) == frozenset()


async def how_a_job_failed_is_told(shop: Workshop) -> None:
    supervisor = await shop.supervisor()
    for kind in ("exec", "oneshot"):
        await shop.write_job_template(f"Type={kind}")
        for script, status, ending in (
            ("exit 3", 3, "exit status 3"),
            ("kill -KILL $$", None, "killed by SIGKILL"),
            ("no-such-command", 127, "exit status 127 (command not found)"),
        ):
            result = await supervisor.run(shop.job(script))
            assert (result.exit_status, result.ending) == (status, ending), result
            assert not result.ok
        missing = dataclasses.replace(shop.job(""), argv=("no-such-program",))
        assert (await supervisor.run(missing)).exit_status == 127
    await shop.no_job_is_left()


async def out_of_time_all_of_it_is_killed(shop: Workshop) -> None:
    supervisor = await shop.supervisor()
    for kind in ("exec", "oneshot"):
        await shop.write_job_template(f"Type={kind}")
        script = "trap '' TERM; setsid sleep 1000 & echo $!; wait"
        for seconds in (1.5, 15):  # on a busy machine the first may be over before it has begun
            job = shop.job(script, name=kind, timeout=seconds)
            result = await supervisor.run(job)
            assert (result.exit_status, result.ending) == (None, f"timed out after {seconds} s")
            await shop.no_job_is_left()
            if said := job.log_file.read_text():
                break
        assert not is_alive(int(said))


async def cancelled_all_of_it_is_killed_first(shop: Workshop) -> None:
    supervisor = await shop.supervisor()
    for kind in ("exec", "oneshot"):
        await shop.write_job_template(f"Type={kind}")
        job = shop.job("sleep 1000 & echo $!; wait", name=kind)
        running = asyncio.create_task(supervisor.run(job))
        child = int(await shop.line(job.log_file))
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert not is_alive(child)
    for steps in range(40):
        running = asyncio.create_task(supervisor.run(shop.job("sleep 1000", name="early")))
        for _ in range(steps):
            await asyncio.sleep(0.001)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()
        assert list(shop.places.jobs.iterdir()) == []
    await shop.no_job_is_left()


async def what_a_job_leaves_running_is_killed(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    script = "trap '' TERM; sleep 1000 & echo $!; setsid sleep 1000 & echo $!; exit 0"
    job = shop.job(script)
    result = await supervisor.run(job)
    assert result.ok, result
    assert not any(is_alive(int(pid)) for pid in job.log_file.read_text().split())


async def output_is_live_and_whole(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    job = shop.job("echo first; until [ -e go ]; do sleep 0.02; done; seq 1000000")
    running = asyncio.create_task(supervisor.run(job))
    assert await shop.line(job.log_file) == "first"
    assert not running.done()
    (shop.work / "go").touch()
    assert (await running).ok
    expected = "first\n" + "".join(f"{number}\n" for number in range(1, 1000001))
    assert job.log_file.read_text() == expected
    await supervisor.run(dataclasses.replace(shop.job("echo more"), log_file=job.log_file))
    assert job.log_file.read_text() == expected + "more\n"
    silent = shop.job("exec >/dev/null 2>&1; sleep 0.2; exit 4", name="silent")
    assert (await supervisor.run(silent)).exit_status == 4


async def many_jobs_run_beside_each_other(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    script = "touch begun-$$; until [ $(ls begun-* | wc -l) -ge 10 ]; do sleep 0.05; done"
    jobs = [shop.job(script, name="a/b c") for _ in range(10)]
    jobs = [dataclasses.replace(job, log_file=shop.work / "log") for job in jobs]
    results = await asyncio.gather(*(supervisor.run(job) for job in jobs))
    assert all(result.ok for result in results), results


async def a_job_that_cannot_be_started_says_why(shop: Workshop) -> None:
    await shop.supervisor()
    job = shop.job("true")
    await not_run(shop, job, "not found", "bluegreen apply")
    await shop.write_job_template()
    await not_run(
        shop, dataclasses.replace(job, cwd=Path("/nowhere")), "was not started", "/nowhere"
    )
    await not_run(shop, dataclasses.replace(job, app="another"), "No such file", "bluegreen apply")
    full = dataclasses.replace(shop.job("seq 100000; sleep 1000"), log_file=Path("/dev/full"))
    await not_run(shop, full, "No space left", "df -h")
    await shop.write_job_template("Type=oneshot")
    await not_run(shop, full, "No space left", "df -h")
    await shop.write_job_template("Type=exec\nWorkingDirectory=/nowhere")
    await not_run(shop, job, "cannot be entered by its user (200/CHDIR)", "bluegreen apply")
    there = shop.work / "launcher.py"
    secrets = f"LoadCredential=app.KEY:{there}\nLoadCredential=build.b.env-file:/nowhere/else\n"
    conditions = "".join(f"ConditionPathExists=|{path}\n" for path in ("/", there, "/nowhere/else"))
    await shop.write_job_template(f"Type=exec\n{secrets}[Unit]\n{conditions}")
    missing = "given to it (243/CREDENTIALS): build.b.env_file (/nowhere/else is not there)"
    await not_run(shop, job, missing, "put the secret into /nowhere/else, for root alone")
    await shop.no_job_is_left()


async def not_run(shop: Workshop, job: Job, message: str, remedy: str) -> None:
    error = await refusal(shop.supervisors[-1].run(job))
    assert message in error.message, error.lines()
    assert remedy in error.remedy, error.lines()


async def jobs_of_an_earlier_daemon_are_ended(shop: Workshop) -> None:
    await shop.write_job_template()
    child = shop.work / "child"
    code = (
        "import asyncio, sys\n"
        "from tests.supervisors.systemd_workshop import Workshop\n"
        "async def main():\n"
        f"    shop = Workshop({shop.app!r})\n"
        "    supervisor = await shop.supervisor()\n"
        f"    await supervisor.run(shop.job('echo $$ >{child}; exec sleep 1000'))\n"
        "asyncio.run(main())\n"
    )
    daemon = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
    pid = int(await shop.line(child))
    daemon.kill()
    await daemon.wait()
    assert is_alive(pid)
    await shop.supervisor()
    assert not is_alive(pid)
    await shop.no_job_is_left()


async def a_job_outlives_a_restart_of_the_bus(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    job = shop.job("echo begun; until [ -e go ]; do sleep 0.02; done; exit 5")
    running = asyncio.create_task(supervisor.run(job))
    await shop.line(job.log_file)
    await command("systemctl", "restart", "dbus.service")
    (shop.work / "go").touch()
    result = await running
    assert not result.ok
    assert result.exit_status == 5, result
    os.unlink(shop.work / "go")


async def a_job_whose_end_nobody_heard_has_not_succeeded(shop: Workshop) -> None:
    await shop.write_job_template()
    supervisor = await shop.supervisor()
    job = shop.job("echo $$; until [ -e go ]; do sleep 0.02; done")
    running = asyncio.create_task(supervisor.run(job))
    pid = int(await shop.line(job.log_file))
    await command("systemctl", "stop", "dbus.socket", "dbus.service")
    try:
        (shop.work / "go").touch()
        await eventually(lambda: not is_alive(pid), "the job has ended")
        await shop.no_job_is_left()
    finally:
        await command("systemctl", "start", "dbus.socket")
    result = await running
    assert not result.ok
    assert result.ending == "ended while systemd could not be heard (exit status unknown)"


async def output_that_is_too_long_lacks_its_middle(shop: Workshop) -> None:
    await shop.write_job_template()
    job = shop.job("seq 1 10000000")
    assert (await (await shop.supervisor()).run(job)).ok
    assert job.log_file.stat().st_size <= JOB_LOG_BYTES
    shown = job.log_file.read_text().splitlines()
    assert (shown[0], shown[-1]) == ("1", "10000000")
    assert len([line for line in shown if "bytes were left out here" in line]) == 1


SCENARIOS = (
    a_job_runs_as_the_apps_user,
    what_a_job_is_to_do_is_for_the_app_alone,
    the_processes_of_a_job_are_known_while_it_runs,
    how_a_job_failed_is_told,
    out_of_time_all_of_it_is_killed,
    cancelled_all_of_it_is_killed_first,
    what_a_job_leaves_running_is_killed,
    output_is_live_and_whole,
    output_that_is_too_long_lacks_its_middle,
    many_jobs_run_beside_each_other,
    a_job_that_cannot_be_started_says_why,
    jobs_of_an_earlier_daemon_are_ended,
    a_job_outlives_a_restart_of_the_bus,
    a_job_whose_end_nobody_heard_has_not_succeeded,
)
