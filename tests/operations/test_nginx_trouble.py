"""nginx refuses its files, or is not there: nothing moves, and its words are quoted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal

import psutil
import pytest

from bluegreen.model import Slot
from bluegreen.traffic.rendering import pid_file
from tests.marks import marker_names
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.killing import APP, Point, kill_at
from tests.stack import Stack
from tests.visits import served_version, visit
from tests.waiting import eventually


def break_another_site(stack: Stack) -> None:
    directory = stack.layout.config / "nginx"
    directory.mkdir(exist_ok=True)
    (directory / "other.conf").write_text("server { listen nonsense; }\n")


async def test_another_sites_broken_file_does_not_hinder_a_switch_by_marker(
    deployed: Stack,
) -> None:
    break_another_site(deployed)
    answer = await deployed.cli("reload")
    assert answer.status != 0
    assert "other.conf" in answer.err
    await deployed.deploy("v2")
    assert (await deployed.cli("switch", "back")).status == 0
    assert await served_version(deployed) == "v1"


async def test_a_switch_by_reload_that_nginx_refuses_is_no_switch(empty: Stack) -> None:
    empty.write_app(switch="reload")
    await empty.serve()
    await empty.deploy("v1")
    break_another_site(empty)
    answer = await empty.cli("deploy", "monitor", "v2")
    assert answer.status == 1, answer.out + answer.err
    assert "other.conf" in answer.err
    assert "nonsense" in answer.err
    await agreement(empty)
    assert await served_version(empty) == "v1"
    assert (await history_of(empty))[0]["state"] == "failed"


async def kill_nginx(stack: Stack) -> None:
    master = psutil.Process(int(pid_file(stack.layout).read_text()))
    nginx = [master, *master.children()]
    for process in nginx:
        with contextlib.suppress(ProcessLookupError):  # an old worker may end as we come to it
            os.kill(process.pid, signal.SIGKILL)
    await asyncio.to_thread(psutil.wait_procs, nginx, 10)


async def warnings_of(stack: Stack) -> list[str]:
    document: dict[str, list[str]] = json.loads((await stack.cli("status", "--json")).out)
    return document["warnings"]


async def test_an_nginx_that_ends_is_started_again(deployed: Stack) -> None:
    await kill_nginx(deployed)
    await agreement(deployed)  # which waits for nginx to say what the marker says
    assert await served_version(deployed) == "v1"
    assert await warnings_of(deployed) == []


async def test_a_master_that_is_killed_is_replaced_though_its_workers_go_on(
    deployed: Stack,
) -> None:
    """They answer as it did, and hold its ports."""
    file = pid_file(deployed.layout)
    old = int(file.read_text())
    workers = psutil.Process(old).children()
    os.kill(old, signal.SIGKILL)

    def another() -> bool:
        said = file.read_text().strip() if file.exists() else ""
        return said.isdecimal() and int(said) != old and psutil.pid_exists(int(said))

    await eventually(another, "another master runs")
    await agreement(deployed)
    assert await served_version(deployed) == "v1"
    await eventually(
        lambda: not any(each.is_running() and each.status() != "zombie" for each in workers),
        "the workers of the old one end",
    )
    await eventually(lambda: said_to_serve_again(deployed), "the daemon says that nginx serves")
    assert said_to_serve_again(deployed) == 1


def said_to_serve_again(stack: Stack) -> int:
    return stack.daemon_log.read_text().count("does again")


async def test_without_nginx_nothing_is_switched_until_it_is_back(deployed: Stack) -> None:
    await deployed.deploy("v2")
    serving = deployed.marker()
    break_another_site(deployed)
    await kill_nginx(deployed)

    async def said() -> bool:
        return any("nginx does not accept" in warning for warning in await warnings_of(deployed))

    await eventually(said, "status says that nginx does not start")
    answer = await deployed.cli("switch", "back")
    assert answer.status == 1
    assert "nginx does not answer" in answer.err
    assert deployed.marker() == serving
    assert (await history_of(deployed))[0]["state"] == "failed"
    (deployed.layout.config / "nginx" / "other.conf").unlink()
    await agreement(deployed)  # by itself, no one reloads
    assert (await deployed.cli("switch", "back")).status == 0
    assert await served_version(deployed) == "v1"


async def test_without_nginx_a_release_is_refused_before_it_is_built(deployed: Stack) -> None:
    await deployed.deploy("v2")
    assert (await deployed.status())["switch_back"]["how"] == "instant"
    break_another_site(deployed)
    await kill_nginx(deployed)
    back = (await deployed.status())["switch_back"]
    assert back["how"] == "impossible"
    assert "nginx does not answer; see that nginx runs" in back["says"]
    answer = await deployed.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert "the traffic could not be switched: nginx does not answer" in answer.err
    assert "Next: see that nginx runs" in answer.err
    assert "build" not in answer.out


async def test_a_release_waits_for_an_nginx_that_is_being_started(deployed: Stack) -> None:
    await kill_nginx(deployed)
    await deployed.deploy("v2")
    assert await served_version(deployed) == "v2"


async def test_what_a_daemon_left_is_settled_though_nginx_does_not_start(
    deployed: Stack,
) -> None:
    await deployed.deploy("v2")
    point = Point(step="switch intent", moved=False, ends=None)
    await kill_at(deployed, point, f"{APP}/switch", {"to": "back"})
    await kill_nginx(deployed)
    break_another_site(deployed)
    await deployed.serve()
    assert (await history_of(deployed))[0]["state"] == "interrupted"
    (deployed.layout.config / "nginx" / "other.conf").unlink()
    await agreement(deployed)
    assert (await deployed.cli("switch", "back")).status == 0
    assert await served_version(deployed) == "v1"


@pytest.mark.parametrize("meddling", ["both", "neither"])
async def test_markers_that_were_meddled_with_are_put_right(deployed: Stack, meddling: str) -> None:
    serving = Slot(deployed.marker())
    markers = deployed.layout.app("monitor").traffic
    if meddling == "both":
        (markers / serving.other).touch()
    else:
        (markers / serving).unlink()
    await eventually(lambda: one_marker(deployed), "one marker is left")
    await agreement(deployed)
    assert (await visit(deployed))[0] == 200


def one_marker(stack: Stack) -> bool:
    return len(marker_names(stack.layout.app("monitor").traffic)) == 1
