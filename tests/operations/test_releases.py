"""Releases through a real daemon, nginx and git: taken, taken back, restarted, stopped."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from bluegreen.demo.report import Report
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import PATIENCE


@asynccontextmanager
async def visitors(stack: Stack) -> AsyncIterator[None]:
    """A light load, in which nobody may be let down."""
    settings = LoadSettings(url=stack.url(), connections=4, websockets=2, downloads=1, think=0.005)
    async with Load(settings) as load:
        await load.ready()
        yield
        report: Report = await load.stop()
    assert report.failures == (), report.failures
    assert report.requests > 0


async def test_a_site_says_503_until_its_first_deploy(served: Stack) -> None:
    status, page = await visit(served)
    assert status == 503
    assert "127.0.0.1" not in page
    assert "nginx" not in page.lower()


async def test_the_first_deploy_serves(served: Stack) -> None:
    answer = await served.deploy("v1")
    assert await served_version(served) == "v1"
    assert "gate done" in answer.out
    status = await served.status()
    assert status["active"] == served.marker()
    assert status["slots"][status["active"]]["health"] == {"healthy": True, "failing": []}


async def test_an_upgrade_loses_no_request_and_keeps_the_old_slot_hot(deployed: Stack) -> None:
    old = deployed.marker()
    async with visitors(deployed):
        await deployed.deploy("v2")
        assert await served_version(deployed) == "v2"
    status = await deployed.status()
    assert deployed.marker() != old
    assert status["slots"][old]["version"] == "v1"
    assert status["slots"][old]["ready"]
    assert status["switch_back"]["how"] == "instant"


async def test_the_commit_is_recorded_and_shown(deployed: Stack) -> None:
    (operation,) = await deployed.operations()
    assert len(operation["commit"]) == 40
    assert operation["commit"][:10] in (await deployed.cli("status")).out


async def test_a_switch_back_and_forth_loses_no_request(deployed: Stack) -> None:
    await deployed.deploy("v2")
    async with visitors(deployed):
        answer = await deployed.cli("switch", "back")
        assert answer.status == 0, answer.err
        assert await served_version(deployed) == "v1"
        assert (await deployed.cli("switch", "back", "monitor")).status == 0
        assert await served_version(deployed) == "v2"


async def test_a_switch_to_the_active_slot_is_refused(deployed: Stack) -> None:
    answer = await deployed.cli("switch", "to", deployed.marker())
    assert answer.status == 1
    assert "already" in answer.err


async def test_a_switch_back_without_another_release_is_refused(deployed: Stack) -> None:
    answer = await deployed.cli("switch", "back")
    assert answer.status == 1
    assert "holds no release" in answer.err
    assert "Next:" in answer.err


async def test_a_rollback_brings_an_older_release_through_the_gates(deployed: Stack) -> None:
    await deployed.deploy("v2")
    async with visitors(deployed):
        answer = await deployed.cli("rollback", "monitor", "--to", "v1")
    assert answer.status == 0, answer.err
    assert await served_version(deployed) == "v1"
    newest, *_ = await deployed.operations()
    assert (newest["kind"], newest["state"]) == ("rollback", "succeeded")


async def test_a_rollback_without_a_version_takes_the_release_before(deployed: Stack) -> None:
    await deployed.deploy("v2")
    assert (await deployed.cli("rollback", "monitor")).status == 0
    assert await served_version(deployed) == "v1"


async def test_a_rollback_goes_to_what_served_before_not_to_what_was_left(
    empty: Stack,
) -> None:
    empty.write_app(watch="500ms")
    await empty.serve()
    assert (await empty.cli("rollback", "monitor", "--to", "v1")).status == 0
    await empty.deploy("v2")
    assert (await empty.cli("rollback", "monitor")).status == 0
    assert await served_version(empty) == "v1"
    await empty.deploy("v3-slow-stop")
    assert (await empty.cli("rollback", "monitor")).status == 0
    assert await served_version(empty) == "v1"


async def test_a_rollback_needs_no_tag_while_the_tree_is_there(deployed: Stack) -> None:
    commit = (await deployed.status())["slots"]["blue"]["commit"]
    await deployed.deploy("v2")
    forget = ["git", "-C", str(deployed.repository), "tag", "-d", "v1"]
    await asyncio.to_thread(lambda: subprocess.run(forget, check=True))
    answer = await deployed.cli("rollback", "monitor", "--to", "v1")
    assert answer.status == 0, answer.out + answer.err
    assert "tree built from v1 is used" in answer.out
    assert await served_version(deployed) == "v1"
    newest, *_ = await deployed.operations()
    assert newest["commit"] == commit
    assert (await deployed.cli("deploy", "monitor", "v1")).status == 1


async def test_a_restart_moves_the_same_commit_over(deployed: Stack) -> None:
    before = deployed.marker()
    async with visitors(deployed):
        answer = await deployed.cli("restart", "monitor")
    assert answer.status == 0, answer.err
    assert deployed.marker() != before
    status = await deployed.status()
    assert status["slots"]["blue"]["commit"] == status["slots"]["green"]["commit"]
    assert await served_version(deployed) == "v1"


async def test_a_stopped_app_answers_503_and_starts_again(deployed: Stack) -> None:
    assert (await deployed.cli("stop", "monitor")).status == 0
    assert (await visit(deployed))[0] == 503
    status = await deployed.status()
    states = {s["state"] for slot in status["slots"].values() for s in slot["services"].values()}
    assert states == {"stopped"}
    answer = await deployed.cli("start", "monitor")
    assert answer.status == 0, answer.err
    assert await served_version(deployed) == "v1"


async def test_a_locked_app_refuses_deploys_and_not_a_switch_back(deployed: Stack) -> None:
    await deployed.deploy("v2")
    assert (await deployed.cli("lock", "monitor", "--reason", "audit")).status == 0
    answer = await deployed.cli("deploy", "monitor", "v1")
    assert answer.status == 4
    assert re.search(r"locked by .+, since [-\d ]*\d\d:\d\d:\d\d: audit", answer.err), answer.err
    assert (await deployed.cli("switch", "back")).status == 0
    assert (await deployed.cli("unlock", "monitor")).status == 0
    await deployed.deploy("v2")


async def test_a_second_operation_is_told_who_holds_the_app(deployed: Stack) -> None:
    first = await deployed.start_cli("deploy", "monitor", "v3-unhealthy")
    try:
        while (await deployed.status())["operation"] is None:
            pass
        answer = await deployed.cli("deploy", "monitor", "v2")
        assert answer.status == 4
        assert "operation 2 (deploy v3-unhealthy" in answer.err
        assert "since" in answer.err
    finally:
        assert (await deployed.cli("cancel", "monitor")).status == 0
        await asyncio.wait_for(first.communicate(), PATIENCE)
    assert first.returncode == 1
    assert await served_version(deployed) == "v1"


async def test_logs_hold_the_output_of_builds_and_services(deployed: Stack) -> None:
    answer = await deployed.cli("logs", "monitor", "1", "--phase", "build")
    assert answer.status == 0
    assert "build-assets | " in answer.out
    services = await deployed.cli("logs", "monitor", "--service", "api")
    assert "started" in services.out


async def test_a_version_that_does_not_exist_is_refused(deployed: Stack) -> None:
    answer = await deployed.cli("deploy", "monitor", "v99")
    assert answer.status == 1
    assert "v99" in answer.err
    assert await served_version(deployed) == "v1"


async def test_a_version_that_looks_like_an_option_is_refused(deployed: Stack) -> None:
    answer = await deployed.cli("deploy", "monitor", "--", "--upload-pack=touch /tmp/owned")
    assert answer.status == 2
    assert len(await deployed.operations()) == 1


async def test_a_socket_that_was_removed_is_told_from_a_daemon_that_does_not_run(
    served: Stack,
) -> None:
    served.layout.control_socket.unlink()
    answer = await served.cli("status")
    assert answer.status == 3
    assert served.daemon is not None
    assert f"a daemon (pid {served.daemon.pid}) runs" in answer.err
    assert "the apps stay up" in answer.err
    await served.kill()
    assert "no daemon answers" in (await served.cli("status")).err


async def test_without_a_daemon_a_command_ends_with_3(empty: Stack) -> None:
    answer = await empty.cli("status")
    assert answer.status == 3
    assert "bluegreen serve" in answer.err
