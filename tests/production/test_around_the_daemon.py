"""In production the daemon freezes, commands come while it restarts, and nginx is in trouble."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import pytest_asyncio

from bluegreen.demo.report import FailureKind
from tests.host.lab import Said
from tests.production.agreement import agreement
from tests.production.asking import is_in, latest_operation
from tests.production.holding import Hold, at, set_up
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

WATCHDOG = "[Service]\nWatchdogSec=6s\n"
RECONNECTS = 5.0  # seconds in which visitors who were refused have come again
BROKEN_SITE = "server { listen 8099; server_name neighbour; no_such_directive on; }\n"


@pytest_asyncio.fixture
async def released(bare: Production) -> Production:
    """v1 serves in blue, v2 is hot in green; what is deployed can be held."""
    await set_up(bare)
    return bare


async def test_a_frozen_daemon_is_ended_by_its_watchdog_and_the_next_one_goes_on(
    bare: Production,
) -> None:
    drop_in = bare.path(f"/etc/systemd/system/{DAEMON}.d/watchdog.conf")
    drop_in.parent.mkdir()
    drop_in.write_text(WATCHDOG)
    await set_up(bare)
    released = bare
    before = await agreement(released)
    pid = await released.unit(DAEMON, "MainPID")
    async with released.load() as load:
        await load.ready()
        async with Hold(released, at("build")).at_its_point():
            await released.host.run(
                "systemctl", "kill", "--kill-whom=main", "--signal=STOP", DAEMON
            )

            async def is_another() -> bool:
                if await released.unit(DAEMON, "MainPID") in (pid, "0"):
                    return False
                return await released.unit(DAEMON, "ActiveState") == "active"

            await eventually(is_another, "another daemon runs")
        assert (await latest_operation(released))["state"] == "interrupted"
        status = await agreement(released)
        report = await load.stop()
    assert report.failures == ()
    assert status["active"] == "blue"
    assert _pids(status) == _pids(before)
    log = await released.host.run("journalctl", "-u", DAEMON, "-o", "cat", "--no-pager")
    assert "Watchdog timeout" in log.output


async def test_commands_wait_for_a_daemon_that_is_restarted(released: Production) -> None:
    await released.host.run("systemctl", "stop", DAEMON)
    await released.host.run("systemctl", "enable", "--now", "bluegreen.socket")
    await released.host.run("systemctl", "start", DAEMON)
    restarting = asyncio.create_task(
        released.host.run("systemctl", "restart", DAEMON), name="restart the daemon"
    )

    async def has_gone() -> bool:
        return await released.unit(DAEMON, "ActiveState") != "active" or restarting.done()

    await eventually(has_gone, "the daemon is restarted")
    said = await asyncio.gather(
        released.bluegreen("status", APP),
        released.bluegreen("switch", "to", "green"),
        released.bluegreen("history", APP),
    )
    assert [each.status for each in said] == [0, 0, 0]
    await restarting
    assert (await agreement(released))["active"] == "green"


async def test_a_restart_of_nginx_in_a_deploy_costs_what_it_closes_and_the_deploy_goes_on(
    released: Production,
) -> None:
    """An nginx that is restarted closes its connections, and is away until the last has ended.

    Its workers are told one after the other and share the socket on which they listen: who was
    closed by one comes to the next, or into the queue of that socket, which is reset when the last
    worker lets it go. So a visitor loses a connection to each worker and one in the queue, at the
    most, and is refused while systemctl restarts it; nobody is answered with an error. Before and
    afterwards, while the deploy goes on, nobody is let down.
    """
    master = await released.unit("nginx.service", "MainPID")
    children = await released.host.run("cat", f"/proc/{master}/task/{master}/children")
    workers = len(children.output.split())
    assert workers
    async with released.load() as load, contextlib.AsyncExitStack() as held:
        await load.ready()
        await held.enter_async_context(Hold(released, at("gate")).at_its_point())
        began = time.time()
        await released.host.run("systemctl", "restart", "nginx.service")
        ended = time.time()
        report = await load.stop()
        assert await is_in(released, "gate")
        async with released.load() as later:
            await later.ready()
            await held.aclose()
            status = await agreement(released)
            afterwards = await later.stop()
    assert status["active"] == "green"
    assert (await latest_operation(released))["state"] == "succeeded"
    kinds = {each.kind for each in report.failures}
    assert kinds <= {
        FailureKind.CONNECT, FailureKind.CLOSED, FailureKind.CLOSED_IDLE, FailureKind.SHORT,
        FailureKind.CUT,
    }  # fmt: skip
    closed = [each for each in report.failures if each.kind is not FailureKind.CONNECT]
    visitors = report.connections + report.websockets + report.downloads
    assert len(closed) <= visitors * (workers + 1)
    times = [report.started_at + each.at for each in report.failures]
    assert began <= min(times)
    assert max(times) <= ended + RECONNECTS
    assert afterwards.failures == ()


async def test_status_says_that_nginx_is_stopped_until_it_is_back(released: Production) -> None:
    async def warnings() -> str:
        return "\n".join((await released.document("status"))["warnings"])

    async def warned() -> bool:
        return "nginx does not answer; see why: systemctl status nginx" in await warnings()

    async def silent() -> bool:
        return await warnings() == ""

    assert await silent()
    await released.host.run("systemctl", "stop", "nginx.service")
    await eventually(warned, "status warns")
    (app,) = (await released.document("status"))["apps"]
    assert app["switch_back"]["how"] == "impossible"
    assert "systemctl status nginx" in app["switch_back"]["says"]
    refused = await released.bluegreen("restart", check=False)
    assert refused.status == 1
    assert "the traffic could not be switched: nginx does not answer" in refused.output
    await released.host.run("systemctl", "start", "nginx.service")
    await eventually(silent, "status does not warn any more")


async def test_a_neighbour_s_broken_site_stops_no_deploy_and_is_named_by_apply(
    released: Production,
) -> None:
    site = released.path("/etc/nginx/conf.d/neighbour.conf")
    async with released.load() as load:
        await load.ready()
        async with Hold(released, at("gate")).at_its_point():
            site.write_text(BROKEN_SITE)
            assert (await released.host.run("nginx", "-t", check=False)).status != 0
            # Another app's, as the daemon lets nobody touch one that is being deployed.
            refused = await _apply_with_another_app(released)
            assert refused.status == 1, refused.output
            assert 'unknown directive "no_such_directive"' in refused.output
            assert "neighbour.conf" in refused.output
        status = await agreement(released)
        await released.bluegreen("switch", "back")
        report = await load.stop()
    assert report.failures == ()
    assert status["active"] == "green"
    assert (await latest_operation(released))["state"] == "succeeded"
    site.unlink()
    assert (await _apply_with_another_app(released)).status == 0


async def _apply_with_another_app(production: Production) -> Said:
    """``apply`` with something to do for nginx: a second app, which has no release yet."""
    file = production.path("/etc/bluegreen/apps/other.toml")
    file.write_text(_OTHER_APP)
    try:
        return await production.bluegreen("apply", check=False)
    finally:
        file.unlink()


_OTHER_APP = f"""
[app]
name = "other"
user = "{APP}"

[source]
directory = "/srv/other/{{version}}"

[services.web]
command = "python3 -m http.server"
ports   = {{ blue = 9101, green = 9201 }}

[[routes]]
path    = "/"
service = "web"

[nginx]
listen = ["127.0.0.1:8081"]
"""


def _pids(status: Any) -> Any:
    """Of what serves."""
    services = status["slots"]["blue"]["services"]
    return {name: service["pid"] for name, service in services.items()}
