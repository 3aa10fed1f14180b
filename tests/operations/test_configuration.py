"""Changed app files are taken up; broken ones are not, and nothing that serves is harmed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal

from tests.operations.test_releases import visitors
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import PATIENCE, eventually


async def test_a_second_app_is_taken_up_and_both_are_deployed_at_once(deployed: Stack) -> None:
    # So many processes that start at once need their time.
    for app in ("monitor", "second"):
        deployed.write_app(app, watch="0.3s", deadline="60s")
    answer = await deployed.cli("reload")
    assert answer.status == 0, answer.err
    assert "added second" in answer.out
    async with visitors(deployed):
        first = await deployed.start_cli("deploy", "monitor", "v2")
        second = await deployed.start_cli("deploy", "second", "v2")
        await first.communicate()
        await second.communicate()
    assert (first.returncode, second.returncode) == (0, 0)
    assert await served_version(deployed) == "v2"
    assert await served_version(deployed, "second") == "v2"
    answer = await deployed.cli("status")
    assert "monitor: traffic on" in answer.out
    assert "second: traffic on" in answer.out
    assert (await deployed.cli("switch", "back")).status == 2  # which of the two?


async def test_a_broken_file_keeps_the_running_configuration(deployed: Stack) -> None:
    path = deployed.layout.app_files / "monitor.toml"
    path.write_text(path.read_text().replace('service = "api"', 'service = "apu"', 1))
    answer = await deployed.cli("reload")
    assert answer.status == 2
    assert f"{path}:" in answer.err
    assert "apu" in answer.err
    assert await served_version(deployed) == "v1"
    assert "not taken up" in (await deployed.cli("status")).out
    await deployed.deploy("v2")


async def test_sighup_reloads(deployed: Stack) -> None:
    deployed.write_app("second")
    deployed.signal(signal.SIGHUP)

    async def known() -> bool:
        return (await deployed.cli("status", "second")).status == 0

    await eventually(known, "the second app is known")


async def test_sighup_of_a_broken_file_keeps_the_running_configuration(deployed: Stack) -> None:
    path = deployed.layout.app_files / "monitor.toml"
    text = path.read_text()
    path.write_text(text.replace('service = "api"', 'service = "apu"', 1))
    deployed.signal(signal.SIGHUP)

    async def said() -> bool:
        return f"not taken up: {path}:" in (await deployed.cli("status")).out

    await eventually(said, "status says that the file was not taken up")
    assert "apu" in deployed.daemon_log.read_text()
    assert await served_version(deployed) == "v1"
    path.write_text(text)
    deployed.signal(signal.SIGHUP)

    async def mended() -> bool:
        return "not taken up" not in (await deployed.cli("status")).out

    await eventually(mended, "the mended file is taken up")


async def test_a_file_that_changes_during_an_operation_waits_for_its_end(deployed: Stack) -> None:
    deployed.write_app(deadline="2m")
    await deployed.reload()
    deploying = await deployed.start_cli("deploy", "monitor", "v3-unhealthy")
    try:

        async def running() -> bool:
            return bool((await deployed.status())["operation"])

        await eventually(running, "the deploy runs")
        deployed.write_app(env={"NEW": "1"})
        answer = await deployed.cli("reload")
        assert answer.status == 4, answer.err
        assert "operation 2 (deploy v3-unhealthy" in answer.err
        assert " by " in answer.err
        assert "since" in answer.err
        assert "warning: not reloaded: " in (await deployed.cli("status")).out
    finally:
        assert (await deployed.cli("cancel", "monitor")).status == 0
        await asyncio.wait_for(deploying.communicate(), PATIENCE)
    assert (await deployed.cli("reload")).status == 0
    assert "not reloaded" not in (await deployed.cli("status")).out


async def test_a_broken_file_at_a_start_leaves_the_last_accepted_one_in_force(
    deployed: Stack,
) -> None:
    path = deployed.layout.app_files / "monitor.toml"
    assert await deployed.terminate() == 0
    path.write_text("nonsense")
    async with visitors(deployed):
        await deployed.serve()
        assert "not taken up" in (await deployed.cli("status")).out
        assert (await deployed.cli("restart", "monitor")).status == 0


async def test_ports_of_a_slot_that_serves_cannot_be_changed_under_it(deployed: Stack) -> None:
    slot = deployed.marker()
    deployed.ports.pop("monitor")
    listen = deployed.listen["monitor"]
    deployed.write_app()
    deployed.listen["monitor"] = listen
    answer = await deployed.cli("reload")
    assert answer.status == 2
    lines = (deployed.layout.app_files / "monitor.toml").read_text().splitlines()
    found = re.search(rf"monitor\.toml:(\d+): services\.\w+\.ports\.{slot}: ", answer.err)
    assert found, answer.err
    assert "ports = {" in lines[int(found[1]) - 1]
    assert f"{slot} runs and listens on" in answer.err
    assert await served_version(deployed) == "v1"


async def test_an_app_whose_file_is_gone_goes_on_until_it_is_stopped(deployed: Stack) -> None:
    path = deployed.layout.app_files / "monitor.toml"
    deployed.write_app("second")
    assert (await deployed.cli("reload")).status == 0
    path.unlink()
    answer = await deployed.cli("reload")
    assert answer.status == 2
    assert "bluegreen stop monitor" in answer.err
    assert await served_version(deployed) == "v1"
    assert (await deployed.cli("stop", "monitor")).status == 0
    answer = await deployed.cli("reload")
    assert answer.status == 0, answer.err
    assert "removed monitor" in answer.out
    await its_history_is_kept(deployed)


async def its_history_is_kept(stack: Stack) -> None:
    """Of ``monitor``, which has been removed."""
    answer = await stack.cli("history", "monitor")
    assert answer.status == 0, answer.err
    assert "deploy   v1" in answer.out
    (*_, deploy) = await stack.operations()
    answer = await stack.cli("logs", "monitor", str(deploy["id"]))
    assert answer.status == 0, answer.err
    assert "build-assets | " in answer.out
    for command in (["history", "nobody"], ["logs", "nobody", "1"], ["logs", "monitor"]):
        answer = await stack.cli(*command)
        assert answer.status == 2
        assert f"there is no app named {command[1]}" in answer.err
    undecodable = os.fsdecode(b"\xff")
    assert (await stack.cli("history", undecodable)).status == 2


async def test_the_daemon_ends_cleanly_and_the_apps_stay_up(deployed: Stack) -> None:
    async with visitors(deployed):
        assert await deployed.terminate() == 0
        assert (await visit(deployed))[0] == 200
        await deployed.serve()
        status = await deployed.status()
        assert {s["restarts"] for s in status["slots"][deployed.marker()]["services"].values()} == {
            0
        }
    await deployed.deploy("v2")


async def test_a_daemon_told_to_stop_its_apps_leaves_nothing(empty: Stack) -> None:
    empty.write_app()
    await empty.serve("--stop-apps")
    await empty.deploy("v1")
    assert await empty.terminate() == 0
    assert empty.live_processes() == []


async def test_a_second_daemon_on_one_root_is_refused(deployed: Stack) -> None:
    assert deployed.daemon is not None
    deployed.layout.daemon_pid.unlink()  # no more than a note of who it is
    answer = await deployed.cli("serve")
    assert answer.status == 1
    assert f"a daemon already serves {deployed.root} (pid {deployed.daemon.pid})" in answer.err
    assert (await deployed.status())["active"] == deployed.marker()


async def test_a_root_without_any_good_configuration_is_refused(empty: Stack) -> None:
    empty.write_app().write_text("[app]\nname = 3\n")
    answer = await empty.cli("serve")
    assert answer.status == 2
    assert "monitor.toml:2: app.name" in answer.err
    assert "Next:" in answer.err


async def test_a_directory_that_cannot_be_made_refuses_a_reload_and_nothing_is_taken_up(
    deployed: Stack,
) -> None:
    in_the_way = deployed.layout.app("second").logs
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    in_the_way.touch()
    deployed.write_app("second")
    configured = sorted(path.name for path in deployed.layout.nginx.rglob("*"))
    answer = await deployed.cli("reload")
    assert answer.status == 1
    assert f"second: {in_the_way}/operations cannot be made: Not a directory" in answer.err
    assert "Next: let the user that runs the daemon write there" in answer.err
    assert sorted(path.name for path in deployed.layout.nginx.rglob("*")) == configured
    assert (await deployed.cli("status", "second")).status == 2
    assert await served_version(deployed) == "v1"

    in_the_way.unlink()
    answer = await deployed.cli("reload")
    assert "added second" in answer.out
    await deployed.deploy("v1", "second")


async def test_a_directory_that_cannot_be_made_keeps_no_other_app_down_at_a_start(
    deployed: Stack,
) -> None:
    deployed.write_app("second")
    assert (await deployed.cli("reload")).status == 0
    await deployed.terminate()
    layout = deployed.layout.app("second")
    shutil.rmtree(layout.logs)
    layout.logs.touch()
    shutil.rmtree(layout.base)
    layout.base.touch()
    await deployed.serve()

    assert await served_version(deployed) == "v1"
    await deployed.deploy("v2")
    said = (await deployed.cli("status")).out
    assert f"second: {layout.logs}/operations cannot be made: Not a directory" in said

    layout.logs.unlink()
    layout.base.unlink()
    assert (await deployed.cli("reload")).status == 0
    assert "cannot be made" not in (await deployed.cli("status")).out
    await deployed.deploy("v1", "second")


async def test_a_lost_history_that_cannot_be_confirmed_does_not_fail_the_reload(
    deployed: Stack,
) -> None:
    note = deployed.layout.state / "history-lost"
    note.mkdir()
    deployed.write_app("second")
    answer = await deployed.cli("reload")
    assert answer.status == 0, answer.err
    assert "added second" in answer.out
    said = (await deployed.cli("status")).out
    assert f"{note} could not be removed" in said
    assert "second" in said
