"""nginx refuses its files, or is not there: nothing moves, and its words are quoted."""

from __future__ import annotations

import os
import signal

import psutil

from bluegreen.traffic.rendering import pid_file
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.stack import Stack
from tests.visits import served_version


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


async def test_without_nginx_nothing_is_switched_until_it_is_back(deployed: Stack) -> None:
    await deployed.deploy("v2")
    serving = deployed.marker()
    master = psutil.Process(int(pid_file(deployed.layout).read_text()))
    nginx = [master, *master.children()]
    for process in nginx:
        os.kill(process.pid, signal.SIGKILL)
    psutil.wait_procs(nginx, 10)
    answer = await deployed.cli("switch", "back")
    assert answer.status == 1
    assert "nginx does not answer" in answer.err
    assert deployed.marker() == serving
    assert (await history_of(deployed))[0]["state"] == "failed"
    assert (await deployed.cli("reload")).status == 0
    await agreement(deployed)
    assert (await deployed.cli("switch", "back")).status == 0
    assert await served_version(deployed) == "v1"
