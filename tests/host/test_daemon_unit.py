"""The daemon as a unit of a real systemd: told of, watched, reloaded, and activated by a socket."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path

import aiohttp
import jinja2
import pytest

from bluegreen.demo.appfile import monitor_app_file
from bluegreen.demo.versions import make_repository
from bluegreen.resources import systemd_templates
from tests.host.lab import CHECKOUT, Host
from tests.waiting import eventually

SITE_PACKAGES = Path(aiohttp.__file__).parents[1]
ROOT = "/var/lib/bluegreen/r"
SOCKET = f"{ROOT}/run/bluegreen/control.sock"
# The host's daemon with its sandbox and its user, its program from here and in a root of its own.
DROP_IN = f"""
[Service]
BindReadOnlyPaths={CHECKOUT}:/opt/checkout {SITE_PACKAGES}:/opt/packages
Environment=PYTHONPATH=/opt/checkout:/opt/packages
ExecStart=
ExecStart=/usr/bin/python3 -m bluegreen serve --root {ROOT}
"""
WATCHDOG = "[Service]\nWatchdogSec=3s\n"


@pytest.fixture(autouse=True)
async def seen(host: Host) -> None:
    await host.require(CHECKOUT, SITE_PACKAGES, sys.executable)


def install(host: Host, name: str, text: str) -> None:
    path = host.root / "etc/systemd/system" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


async def show(host: Host, *names: str) -> dict[str, str]:
    said = await host.run("systemctl", "show", "bluegreen.service", "-p", ",".join(names))
    return dict(line.split("=", 1) for line in said.output.splitlines())


async def status(host: Host) -> str:
    said = await host.run(
        sys.executable, "-m", "bluegreen", "status", "--root", ROOT,
        env={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip
    return said.output


def same_python() -> bool:
    said = subprocess.run(
        ["/usr/bin/python3", "-c", "import sys; print(sys.version_info[:2])"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=30,
    ).stdout  # fmt: skip
    return said.strip() == str(sys.version_info[:2])


@pytest.fixture
async def sandboxed(host: Host) -> Host:
    """A host on which the shipped units are installed and not started."""
    if not (shutil.which("/usr/bin/python3") and same_python()):
        pytest.skip("the packages here are not of the version of /usr/bin/python3")
    for name in ("bluegreen.service", "bluegreen.socket"):
        install(host, name, (systemd_templates() / name).read_text())
    install(host, "bluegreen.service.d/test.conf", DROP_IN)
    listen = f"[Socket]\nListenStream=\nListenStream={SOCKET}\n"
    install(host, "bluegreen.socket.d/test.conf", listen)
    await host.run("useradd", "--system", "--home-dir", "/var/lib/bluegreen", "bluegreen")
    await host.run("systemctl", "daemon-reload")
    return host


async def entries(host: Host) -> list[dict[str, str]]:
    """What the daemon itself has sent to the journal."""
    said = await host.run(
        "journalctl", "-u", "bluegreen.service", "-t", "bluegreen", "-o", "json", "--no-pager"
    )
    return [json.loads(line) for line in said.output.splitlines()]


async def test_it_serves_from_within_its_sandbox(sandboxed: Host) -> None:
    host = sandboxed
    await host.run("systemctl", "start", "bluegreen.service")  # returns when it is ready
    assert "there are no apps" in await status(host)
    assert await show(host, "StatusText", "User") == {
        "StatusText": "serving 0 apps", "User": "bluegreen",
    }  # fmt: skip
    await host.run("systemctl", "reload", "bluegreen.service")
    await eventually(lambda: mentions(host, "reloaded: "), "it reloads")

    said = await entries(host)
    (serving,) = [entry for entry in said if entry["MESSAGE"].startswith("serving 0 apps on ")]
    assert (serving["PRIORITY"], serving["_TRANSPORT"]) == ("6", "journal")
    assert (serving["LOGGER"], serving["CODE_FUNC"]) == ("bluegreen.daemon", "_until_stopped")
    await host.run("systemctl", "stop", "bluegreen.service")
    assert await show(host, "Result", "ActiveState") == {
        "Result": "success", "ActiveState": "inactive",
    }  # fmt: skip


async def test_it_deploys_from_git_within_its_sandbox(sandboxed: Host) -> None:
    host = sandboxed
    await asyncio.to_thread(make_repository, host.root / "srv/monitor.git")
    text = monitor_app_file(
        name="monitor", source="/srv/monitor.git", ports=[9081, 9181], listen=8080,
        services=("api",), healthy_for="0.2s", watch="0.5s",
    )  # fmt: skip
    apps = host.root / ROOT.lstrip("/") / "etc/bluegreen/apps"
    apps.mkdir(parents=True)
    python = "/usr/bin/env PYTHONPATH=/opt/packages /usr/bin/python3"
    (apps / "monitor.toml").write_text(text.replace(sys.executable, python))
    await host.run("chown", "-R", "bluegreen:bluegreen", "/var/lib/bluegreen", "/srv/monitor.git")
    await host.run("systemctl", "start", "bluegreen.service")
    said = await host.run(
        sys.executable, "-m", "bluegreen", "deploy", "monitor", "v1", "--root", ROOT,
        env={"PYTHONPATH": str(CHECKOUT)},
    )  # fmt: skip

    assert "v1" in said.output
    assert (await show(host, "StatusText"))["StatusText"].startswith("serving 1 app")
    await eventually(lambda: mentions(host, "monitor: deploy v1 succeeded"), "it is in the journal")
    said_of_it = [each for each in await entries(host) if each.get("BLUEGREEN_APP") == "monitor"]
    assert [(each["MESSAGE"], each["BLUEGREEN_OPERATION"]) for each in said_of_it] == [
        ("monitor: deploy v1 has begun (operation 1, by uid 0 (root))", "1"),
        ("monitor: deploy v1 succeeded (operation 1)", "1"),
    ]


async def mentions(host: Host, beginning: str) -> bool:
    return any(entry["MESSAGE"].startswith(beginning) for entry in await entries(host))


async def test_the_watchdog_restarts_a_stopped_daemon_and_shows_where_it_was(
    sandboxed: Host,
) -> None:
    host = sandboxed
    install(host, "bluegreen.service.d/watchdog.conf", WATCHDOG)
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "start", "bluegreen.service")
    stop = ("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "bluegreen.service")
    await host.run(*stop)

    async def restarted() -> bool:
        state = await show(host, "NRestarts", "ActiveState")
        return state["NRestarts"] != "0" and state["ActiveState"] == "active"

    await eventually(restarted, "it is ready again")
    assert "there are no apps" in await status(host)
    await host.run("journalctl", "--sync")
    said = await host.run("journalctl", "-u", "bluegreen.service", "-o", "cat", "--no-pager")
    assert "Watchdog timeout" in said.output
    assert "most recent call first" in said.output


async def test_commands_wait_while_it_is_restarted(sandboxed: Host) -> None:
    host = sandboxed
    await host.run("systemctl", "start", "bluegreen.socket")
    assert (await show(host, "ActiveState")) == {"ActiveState": "inactive"}
    assert "there are no apps" in await status(host)  # which starts it
    await host.run("systemctl", "restart", "--no-block", "bluegreen.service")
    for _ in range(5):
        assert "there are no apps" in await status(host)


async def test_nginx_outlives_the_daemon_of_a_root_of_its_own(host: Host) -> None:
    template = (systemd_templates() / "bluegreen.service.j2").read_text()
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    program = f"/usr/bin/env PYTHONPATH={CHECKOUT} {sys.executable} -m bluegreen"
    text = environment.from_string(template).render(program=program, root=ROOT, user="root")
    install(host, "bluegreen.service", text)
    await host.run("systemctl", "daemon-reload")
    await host.run("systemctl", "start", "bluegreen.service")
    before = await nginx(host)
    assert before
    await host.run("systemctl", "restart", "bluegreen.service")

    assert await show(host, "StatusText") == {"StatusText": "serving 0 apps"}
    assert await nginx(host) == before


async def nginx(host: Host) -> str:
    """The PIDs of its master process."""
    return (await host.run("pgrep", "-f", "nginx: master", check=False)).output
