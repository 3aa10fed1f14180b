"""What the next daemon makes of a reboot, of clocks that jumped, of what died meanwhile."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path

import psutil
import pytest

from bluegreen.model import Slot
from bluegreen.traffic.rendering import pid_file
from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, status_of
from tests.operations.killing import APP, Point, is_watched, kill_at, kill_service
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import eventually

DAY = 86_400.0  # seconds


async def power_off(stack: Stack) -> None:
    """End everything of the root at once, and lose what does not outlive a reboot."""
    await stack.kill()
    master = psutil.Process(int(pid_file(stack.layout).read_text()))
    nginx = [master, *master.children()]
    for pid in [*(p.pid for p in stack.live_processes()), *(p.pid for p in nginx)]:
        with suppress(ProcessLookupError):  # an old worker of nginx may end as we come to it
            os.kill(pid, signal.SIGKILL)
    await eventually(lambda: not stack.live_processes(), "all services have ended")
    await asyncio.to_thread(psutil.wait_procs, nginx, 10)
    shutil.rmtree(stack.layout.run)


async def test_after_a_reboot_the_right_slot_serves_and_the_other_is_hot_again(
    deployed: Stack,
) -> None:
    await deployed.deploy("v2")
    assert (await deployed.cli("switch", "back")).status == 0
    await power_off(deployed)
    await deployed.serve()
    status = await agreement(deployed)
    assert status["slots"][status["active"]]["version"] == "v1"
    assert status["switch_back"]["how"] == "instant"
    assert (await deployed.cli("switch", "back")).status == 0
    assert await served_version(deployed) == "v2"


async def test_a_store_older_than_the_world_ends_nothing_that_serves(deployed: Stack) -> None:
    await deployed.deploy("v2")
    await deployed.terminate()
    database = deployed.layout.database
    older = database.with_name("older.db")
    shutil.copyfile(database, older)
    await deployed.serve()
    await deployed.deploy("v3-rewrites-title")
    await deployed.terminate()
    os.replace(older, database)
    before = {process.pid for process in deployed.live_processes()}
    await deployed.serve()
    await eventually(lambda: is_settled(deployed), "what serves is well")
    status = await status_of(deployed)
    assert status["slots"][status["active"]]["version"] == "v3-rewrites-title"
    assert await served_version(deployed) == "v3-rewrites-title"
    assert before <= {process.pid for process in deployed.live_processes()}
    # The number of a deploy that the store does not know of is not given again.
    await deployed.deploy("v1")
    newest, *_ = await deployed.operations()
    assert newest["id"] > 3


async def is_settled(stack: Stack) -> bool:
    status = await status_of(stack)
    return bool(status["slots"][status["active"]]["ready"])


async def test_whoever_follows_a_deploy_reads_where_the_daemon_ended(deployed: Stack) -> None:
    deploying = asyncio.create_task(deployed.cli("deploy", "monitor", "v3-unhealthy"))
    await eventually(lambda: in_phase(deployed, "gate"), "the gate is asked")
    await deployed.kill()
    await deployed.serve()
    said = (await deploying).out
    assert "warning: the daemon ended in gate\n" in said


async def rebooted_in_the_watch(stack: Stack) -> Path:
    """v2 is watched for a minute; after a reboot nothing starts while there is what it returns."""
    held = stack.root / "held"
    stack.write_app(services=("api",), watch="0.1s")
    await stack.serve()
    await stack.deploy("v1")
    path = stack.write_app(services=("api",), watch="60s")
    start = f"while [ -e {held} ]; do sleep 0.05; done"
    slowly = rf"""command = "/bin/sh -c '{start}; exec \1'" """
    path.write_text(re.sub(r'command = "(.*)"', slowly, path.read_text()))
    await stack.reload()
    await kill_at(
        stack, Point(step="watch intent", built=True, moved=True, ends=None),
        f"{APP}/deployments", {"version": "v2"},
    )  # fmt: skip
    held.touch()
    await power_off(stack)
    await stack.serve()
    return held


async def test_a_release_that_starts_slowly_after_a_reboot_is_not_ill(empty: Stack) -> None:
    held = await rebooted_in_the_watch(empty)
    serving = empty.marker()

    async def well_again() -> bool:
        state: str = (await empty.status())["slots"][serving]["state"]
        return state == "hot"

    assert not await well_again()
    held.unlink()
    await eventually(well_again, "what serves has passed its gate again")
    assert empty.marker() == serving
    assert (await empty.status())["operation"]["phase"] == "watch"
    assert await served_version(empty) == "v2"


async def test_after_a_reboot_nothing_is_switched_to_before_it_is_up(empty: Stack) -> None:
    held = await rebooted_in_the_watch(empty)
    assert (await empty.status())["switch_back"]["how"] == "start"
    back = asyncio.create_task(empty.cli("switch", "back"))
    await eventually(lambda: in_phase(empty, "start", "gate"), "the old release is started")
    held.unlink()
    answer = await back
    assert answer.status == 0, answer.err
    assert (await visit(empty))[0] == 200
    assert await served_version(empty) == "v1"


async def test_a_second_kill_does_not_make_ready_what_was_only_started(empty: Stack) -> None:
    await rebooted_in_the_watch(empty)
    await empty.kill()
    await empty.serve()
    status = await empty.status()
    assert [slot["ready"] for slot in status["slots"].values()] == [False, False]
    assert status["switch_back"]["how"] == "start"


async def test_an_app_out_of_service_stays_so_across_a_reboot(deployed: Stack) -> None:
    assert (await deployed.cli("stop", "monitor")).status == 0
    await power_off(deployed)
    await deployed.serve()
    await agreement(deployed, closed=True)
    assert (await visit(deployed))[0] == 503
    assert (await deployed.cli("start", "monitor")).status == 0
    assert await served_version(deployed) == "v1"


async def test_a_reboot_in_a_deploy_leaves_what_served(deployed: Stack) -> None:
    await ask(deployed, "POST", f"{APP}/deployments", {"version": "v3-unhealthy"})
    await eventually(lambda: in_phase(deployed, "gate"), "the gate is asked")
    await power_off(deployed)
    await deployed.serve()
    await agreement(deployed)
    assert await served_version(deployed) == "v1"
    assert (await history_of(deployed))[0]["state"] == "interrupted"


async def in_phase(stack: Stack, *phases: str) -> bool:
    """Whether it is in one of ``phases``; of those that are short it may have come to the next."""
    operation = (await status_of(stack))["operation"]
    return operation is not None and operation["phase"] in phases


async def test_a_service_that_died_without_a_daemon_runs_again(deployed: Stack) -> None:
    await deployed.kill()
    kill_service(deployed, deployed.marker(), "api")
    await deployed.serve()
    await agreement(deployed)
    assert await served_version(deployed) == "v1"


async def test_a_daemon_killed_again_and_again_as_it_recovers_ends_the_same(
    deployed: Stack,
) -> None:
    point = Point(step="gate intent", built=True, moved=False, ends="interrupted")
    await kill_at(deployed, point, f"{APP}/deployments", {"version": "v2"})
    for _ in range(4):
        said = len(deployed.daemon_log.read_text())
        starting = asyncio.create_task(deployed.serve(), name="a daemon that is killed")
        await eventually(
            lambda said=said: "was in" in deployed.daemon_log.read_text()[said:],
            "recovery has begun",
        )
        await deployed.kill()
        with suppress(AssertionError):
            await starting
        if (await asyncio.to_thread(newest_state, deployed)) == "interrupted":
            break
    await deployed.serve()
    await agreement(deployed)
    assert (await history_of(deployed))[0]["state"] == "interrupted"
    assert await served_version(deployed) == "v1"
    await deployed.deploy("v2")


def newest_state(stack: Stack) -> str:
    with closing(sqlite3.connect(stack.layout.database)) as store:
        [state] = store.execute(
            "SELECT state FROM operation_states ORDER BY id DESC LIMIT 1"
        ).fetchone()
    return str(state)


async def test_a_cancel_of_what_cannot_be_settled_says_what_holds_the_app_and_why(
    deployed: Stack,
) -> None:
    point = Point(step="rename */traffic/*", built=True, moved=True, ends="succeeded")
    await kill_at(deployed, point, f"{APP}/deployments", {"version": "v2"})
    with closing(sqlite3.connect(deployed.layout.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the outcome cannot be recorded
        await deployed.serve()
        answer = await deployed.cli("cancel", "monitor")
        assert answer.status == 1
        assert "monitor is held by operation 2 (deploy)" in answer.err
        assert "held by another process" in answer.err
        assert f"Next: `fuser {deployed.layout.database}` names it" in answer.err
        assert "no operation is running" not in answer.err
        other.execute("ROLLBACK")
    await agreement(deployed)
    assert (await history_of(deployed))[0]["state"] == "succeeded"
    assert "no operation is running" in (await deployed.cli("cancel", "monitor")).err


@pytest.mark.parametrize("jump", [-DAY, DAY], ids=["back", "ahead"])
async def test_a_watch_ends_in_time_though_the_clock_has_jumped_a_day(
    empty: Stack, jump: float
) -> None:
    empty.write_app(watch="3s")
    await empty.serve()
    await empty.deploy("v1")
    point = Point(step="watch intent", built=True, moved=True, ends="succeeded")
    await kill_at(empty, point, f"{APP}/deployments", {"version": "v2"})
    await asyncio.to_thread(move_the_watch, empty, -jump)
    await empty.serve()
    await agreement(empty)  # which waits for a minute at most
    assert (await history_of(empty))[0]["state"] == "succeeded"
    assert await served_version(empty) == "v2"


def move_the_watch(stack: Stack, seconds: float) -> None:
    """Let the deadline on disk be what a clock that has jumped makes of it."""
    with closing(sqlite3.connect(stack.layout.database)) as store:
        [(name, guard)] = store.execute(
            "SELECT name, sql FROM sqlite_schema WHERE name = 'phases_keep_update'"
        ).fetchall()
        store.execute(f"DROP TRIGGER {name}")
        [(row, text)] = store.execute(
            "SELECT id, data FROM phases WHERE phase = 'watch' ORDER BY id DESC LIMIT 1"
        ).fetchall()
        data = json.loads(text)
        data["until"] += seconds
        store.execute("UPDATE phases SET data = ? WHERE id = ?", (json.dumps(data), row))
        store.execute(guard)
        store.commit()


@pytest.mark.parametrize(
    ("left", "state"), [(-60.0, "cold"), (-DAY, "cold"), (DAY, "hot"), (2 * DAY, "hot")]
)
async def test_the_old_slot_stays_hot_as_long_as_the_deadline_on_disk_says(
    deployed: Stack, left: float, state: str
) -> None:
    await deployed.deploy("v2")
    await deployed.kill()
    idle = Slot(deployed.marker()).other
    with closing(sqlite3.connect(deployed.layout.database)) as store:
        store.execute("UPDATE slots SET hot_until = ? WHERE slot = ?", (time.time() + left, idle))
        store.commit()
    await deployed.serve()
    await eventually(lambda: slot_is(deployed, idle, state), f"{idle} is {state}")
    await agreement(deployed)
    assert await served_version(deployed) == "v2"


async def slot_is(stack: Stack, slot: Slot, state: str) -> bool:
    return bool((await status_of(stack))["slots"][slot]["state"] == state)


async def test_of_twenty_deploys_at_once_one_runs_and_the_others_hear_whose(
    deployed: Stack,
) -> None:
    body = {"version": "v2"}
    answers = await asyncio.gather(
        *(ask(deployed, "POST", f"{APP}/deployments", body) for _ in range(20))
    )
    [(_, accepted)] = [answer for answer in answers if answer[0] == 202]
    refused = [document for status, document in answers if status == 409]
    assert len(refused) == 19
    for document in refused:
        assert f"operation {accepted['id']} (deploy v2" in json.dumps(document)
        assert "uid" in json.dumps(document)
        assert "since" in json.dumps(document)
    await agreement(deployed)
    assert await served_version(deployed) == "v2"
    assert len(await history_of(deployed)) == 2


async def test_a_cancel_in_the_watch_is_recorded_whole_or_not_at_all(empty: Stack) -> None:
    empty.write_app(services=("api",), watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(services=("api",), watch="60s")
    await empty.reload()
    await ask(empty, "POST", f"{APP}/deployments", {"version": "v2"})
    await eventually(lambda: is_watched(empty), "the release is watched")
    point = Point(step="watch failed", moved=True, ends="cancelled")
    await kill_at(empty, point, f"{APP}/cancel", {})
    await empty.serve()
    await agreement(empty)
    assert (await history_of(empty))[0]["state"] == "cancelled"
    assert await served_version(empty) == "v2"
