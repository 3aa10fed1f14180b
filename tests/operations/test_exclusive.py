"""An exclusive service runs in the slot that has the traffic, and never in both."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.operations.agreement import agreement
from tests.operations.test_hold_deploys import alone
from tests.stack import Stack
from tests.waiting import PATIENCE, eventually

# Says where it runs, unless somebody else does at that time; and a version may be too ill for it.
SCRIPT = """
slot=$1 version=$2 shared=$3
[ ! -e $shared/ill-$version ] || exit 1
exec 9>$shared/turn
flock -n 9 || { echo twice >>$shared/ran; exit 1; }
echo $slot >>$shared/ran
exec sleep 1000
"""
SCHEDULER = """
[services.scheduler]
exclusive = true
command = "/bin/sh {script} {{slot}} {{version}} {{shared_dir}}"
"""


def ran(stack: Stack) -> list[str]:
    found = shared(stack) / "ran"
    return found.read_text().split() if found.exists() else []


def shared(stack: Stack) -> Path:
    return stack.layout.app("monitor").shared


async def runs_in(stack: Stack, slot: str | None) -> None:
    """Wait until the scheduler runs in ``slot`` and nowhere else."""

    async def there() -> bool:
        slots = (await stack.status())["slots"]
        states = {name: held["services"]["scheduler"]["state"] for name, held in slots.items()}
        return states == {
            name: "running" if name == slot else "stopped" for name in ("blue", "green")
        }

    await eventually(there, f"the scheduler runs in {slot}")


@pytest.fixture
async def scheduled(empty: Stack) -> Stack:
    script = empty.root / "scheduler.sh"
    script.write_text(SCRIPT)
    extra = SCHEDULER.format(script=script)
    empty.write_app(services=("api",), watch="0.5s", extra=extra)
    await empty.serve()
    await empty.deploy("v1")
    return empty


async def test_it_follows_the_traffic_and_never_runs_twice(scheduled: Stack) -> None:
    first = scheduled.marker()
    second = "green" if first == "blue" else "blue"
    been: list[str] = []

    async def follows_to(slot: str) -> None:
        been.append(slot)
        await runs_in(scheduled, slot)
        await has_run(scheduled, *been)

    await follows_to(first)
    await scheduled.deploy("v2")
    await follows_to(second)
    # What is instant stays so: the slot beside is ready though its scheduler does not run.
    assert (await scheduled.status())["switch_back"]["how"] == "instant"
    assert (await scheduled.cli("switch", "back")).status == 0
    await follows_to(first)
    assert (await scheduled.cli("stop", "monitor")).status == 0
    await runs_in(scheduled, None)
    assert (await scheduled.cli("start", "monitor")).status == 0
    await follows_to(first)
    # Moved while nobody was there to see it.
    await scheduled.deploy("v2")
    await follows_to(second)
    await scheduled.kill()
    assert (await scheduled.cli("switch", "back", "--emergency")).status == 0
    await scheduled.serve()
    await follows_to(first)
    await agreement(scheduled)
    told = (await scheduled.cli("status")).out
    assert told.count("scheduler running") == 1
    assert "scheduler stopped" not in told


async def test_a_release_in_which_it_does_not_come_up_is_switched_back(scheduled: Stack) -> None:
    first = scheduled.marker()
    await has_run(scheduled, first)
    file = scheduled.layout.app_files / "monitor.toml"
    file.write_text(file.read_text().replace('for = "0.5s"', 'for = "60s"'))
    await scheduled.reload()
    (shared(scheduled) / "ill-v2").touch()
    answer = await scheduled.cli("deploy", "monitor", "v2")
    assert answer.status == 5, answer.err
    assert "scheduler" in answer.err
    assert scheduled.marker() == first
    await runs_in(scheduled, first)
    await has_run(scheduled, first, first)


async def test_a_release_of_an_app_that_is_out_of_service_is_watched_without_it(
    scheduled: Stack,
) -> None:
    second = "green" if scheduled.marker() == "blue" else "blue"
    assert (await scheduled.cli("stop", "monitor")).status == 0
    await runs_in(scheduled, None)
    answer = await scheduled.cli("deploy", "monitor", "v2")
    assert answer.status == 0, answer.err
    await runs_in(scheduled, None)
    assert (await scheduled.cli("start", "monitor")).status == 0
    await runs_in(scheduled, second)


async def test_one_that_is_renamed_ends_where_the_traffic_was_and_comes_where_it_is(
    scheduled: Stack,
) -> None:
    await runs_in(scheduled, "blue")
    await has_run(scheduled, "blue")
    file = scheduled.layout.app_files / "monitor.toml"
    as_it_was = file.read_text()
    file.write_text(as_it_was.replace("[services.scheduler]", "[services.cron]"))
    await scheduled.reload()
    # A daemon that was not there as it was started knows of it too.
    await scheduled.kill()
    await scheduled.serve()
    await scheduled.deploy("v2")
    await cron_runs_in(scheduled, "green")
    await has_run(scheduled, "blue", "green")  # never twice: the old one has made room
    back = await scheduled.cli("switch", "back")
    assert back.status == 0
    assert "scheduler of blue is not started: the app file no longer names it" in back.out
    await cron_runs_in(scheduled, None)
    file.write_text(as_it_was)
    await scheduled.reload()
    await runs_in(scheduled, "blue")
    await has_run(scheduled, "blue", "green", "blue")


async def has_run(stack: Stack, *slots: str) -> None:
    """Wait until it has said so, which takes a moment from its start."""
    await eventually(lambda: ran(stack) == [*slots], f"it has run in {slots}")


async def cron_runs_in(stack: Stack, slot: str | None) -> None:
    async def there() -> bool:
        slots = (await stack.status())["slots"]
        running = {
            name for name, held in slots.items() if held["services"]["cron"]["state"] == "running"
        }
        return running == ({slot} if slot else set())

    await eventually(there, f"cron runs in {slot}")


PROBE = """
[[gate.probes]]
service = "api"
name = "well"
command = {{ run = "test -e {well}" }}
"""


async def test_after_a_hold_it_comes_once_what_serves_again_has_passed_its_gate(
    empty: Stack,
) -> None:
    script = empty.root / "scheduler.sh"
    script.write_text(SCRIPT)
    well = empty.root / "well"
    well.touch()
    extra = SCHEDULER.format(script=script) + PROBE.format(well=well)
    alone(empty, services=("api",), extra=extra)
    await empty.serve()
    await empty.deploy("v1")
    await runs_in(empty, "blue")
    await has_run(empty, "blue")
    alone(empty, services=("api",), deadline="4s", extra=extra)
    await empty.reload()
    well.unlink()
    deploying = await empty.start_cli("deploy", "monitor", "v2")
    assert deploying.stdout is not None
    async with asyncio.timeout(PATIENCE):
        # Longer than it takes until somebody looks where it is to run.
        said, line = b"does not come up yet, and requests wait on", b"-"
        while line and said not in line:
            line = await deploying.stdout.readline()
        assert line, "it ended"
    assert ran(empty) == ["blue"]
    well.touch()
    await asyncio.wait_for(deploying.communicate(), PATIENCE)
    assert deploying.returncode == 1
    await runs_in(empty, "blue")
    await has_run(empty, "blue", "blue")
