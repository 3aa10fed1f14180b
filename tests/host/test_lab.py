"""The host that the tests boot is a real one, and a world of its own."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

import pytest

from tests.host import lab
from tests.host.lab import Host


async def test_it_runs_a_real_systemd(host: Host) -> None:
    said = await host.run("ps", "-o", "comm=", "-p", "1")
    assert said.output.strip() == "systemd"
    await host.run("systemd-run", "--wait", "-p", "ProtectSystem=strict", "true")
    refused = await host.run("systemd-run", "--wait", "false", check=False)
    assert refused.status == 1


async def test_what_is_done_there_is_not_done_here(host: Host) -> None:
    await host.run("touch", "/etc/only-there")
    assert not os.path.exists("/etc/only-there")  # noqa: ASYNC240 - one look, at our own disk
    said = await host.run("ip", "-brief", "address")
    assert "lo" in said.output
    assert "eth0" not in said.output


async def test_what_its_own_tmp_hides_is_named_with_the_cause(host: Host) -> None:
    await host.require(lab.CHECKOUT, sys.executable)
    with (
        tempfile.NamedTemporaryFile(dir="/tmp") as hidden,
        pytest.raises(AssertionError, match="is not seen on a booted host") as caught,
    ):
        await host.require(hidden.name)
    assert hidden.name in str(caught.value)


async def test_two_hosts_share_no_control_group(host: Host) -> None:
    async with lab.host() as other:
        for each in (host, other):
            await each.run("systemd-run", "--unit=same", "sleep", "60")
        for each in (host, other):
            said = await each.run("cat", "/sys/fs/cgroup/system.slice/same.service/cgroup.procs")
            main = await each.run("systemctl", "show", "--value", "-p", "MainPID", "same.service")
            assert said.output == main.output


async def test_its_disk_outlives_a_reboot_and_a_crash_but_its_run_directory_does_not(
    host: Host,
) -> None:
    await host.run("touch", "/etc/stays", "/run/goes")
    await host.reboot()
    await host.run("test", "-e", "/etc/stays")
    assert (await host.run("test", "-e", "/run/goes", check=False)).status == 1
    await host.run("touch", "/etc/stays-too")
    await host.crash()
    await host.boot()
    await host.run("test", "-e", "/etc/stays-too")


async def test_commands_run_as_another_user_and_end_in_time(host: Host) -> None:
    assert (await host.run("id", "-un", user="nobody")).output.strip() == "nobody"
    with pytest.raises(AssertionError, match="did not end"):
        await host.run("sleep", "60", timeout=0.2)
    await asyncio.wait_for(host.shut_down(), 60)
