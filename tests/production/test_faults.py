"""Apps that misbehave, and administrators who reach into what bluegreen runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.host import lab
from tests.production.asking import ask
from tests.production.faulty import FAULTY, add_versions
from tests.production.production import APP, PORTS, REPOSITORY, Production
from tests.waiting import eventually

DEADLINE = 'deadline = "60s"'  # no good version misses it, however busy the machine is
OPTIONS: dict[str, Any] = {
    "services": ("api",), "watch": "0.3s", "deadline": "60s", "stop_timeout": "1s",
    "env": {"MONITOR_HARD_PORT": "9099"},
}  # fmt: skip
DATA = f"/var/lib/bluegreen/apps/{APP}/shared/data"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_host(program: Path) -> AsyncIterator[Production]:
    """One host for all of these tests, which leave its app in service."""
    async with lab.host(over=program) as built:
        made = Production(built)
        await made.set_up(**OPTIONS)
        add_versions(made.path(REPOSITORY), FAULTY)
        await built.run("chown", "-R", "bluegreen:", REPOSITORY)
        yield made


@pytest.fixture
async def production(shared_host: Production) -> Production:
    """v1 has the traffic, whatever the test before has left."""
    if (await app(shared_host))["active"] is None or await version(shared_host, "active") != "v1":
        await shared_host.deploy("v1")
    assert await shared_host.served() == "v1"
    return shared_host


async def app(production: Production) -> Any:
    return (await production.status())["apps"][0]


async def slot(production: Production, which: str) -> str:
    """The name of the ``active`` slot, or of the ``idle`` one."""
    active: str = (await app(production))["active"]
    return active if which == "active" else {"blue": "green", "green": "blue"}[active]


async def version(production: Production, which: str) -> Any:
    name = await slot(production, which)
    return (await app(production))["slots"][name]["version"]


async def api(production: Production, name: str) -> Any:
    """What the status says of the service in a slot."""
    return (await app(production))["slots"][name]["services"]["api"]


async def take_up(production: Production) -> None:
    """What the app file says now, where no unit is other for it."""
    status, document = await ask(production, "POST", "/v1/reload", {})
    assert status == 200, document


def port(name: str) -> int:
    return PORTS[("blue", "green").index(name)]


async def listens(production: Production, number: int) -> None:
    """Wait until somebody listens on a port."""
    looks = f"until ss -ltn | grep -q :{number}; do sleep 0.02; done"
    await production.host.run("timeout", "60", "sh", "-c", looks)


def unit(name: str) -> str:
    return f"bluegreen-{APP}-api@{name}.service"


async def refused(production: Production, wanted: str) -> str:
    """Deploy ``wanted``, in vain; what was said. v1 serves on."""
    said = await production.deploy(wanted, check=False)
    assert said.status == 1, said.output
    assert await production.served() == "v1"
    return said.output


async def processes(production: Production, wanted: str) -> list[str]:
    """The environments, in /proc, of all processes of a version."""
    looks = f"grep -lsz '^BLUEGREEN_VERSION={wanted}$' /proc/[0-9]*/environ"
    return (await production.host.run("sh", "-c", looks, check=False)).output.split()


async def test_one_that_crash_loops_is_refused_with_its_exit_status_and_its_words(
    production: Production,
) -> None:
    said = await refused(production, "crash-loops")
    assert "service api " in said
    assert "exit status 3" in said
    assert "fatal: no servers are configured" in said
    assert await processes(production, "crash-loops") == []


async def test_one_that_crash_loops_after_its_watch_is_shown_and_left_by_a_switch_back(
    production: Production,
) -> None:
    await production.deploy("crashes-when-poisoned")
    name = await slot(production, "active")
    poison = production.path(f"{DATA}/poison")
    poison.touch()
    await production.host.run("systemctl", "kill", "--signal=KILL", unit(name))

    async def loops() -> bool:
        return bool((await api(production, name))["restarts"] >= 2)

    await eventually(loops, "it has been restarted twice")
    assert (await api(production, name))["last_exit"] == "exit status 4"
    said = (await production.bluegreen("status", APP)).output
    assert "NOT HEALTHY" in said
    assert "exit status 4" in said
    assert int(await production.unit(unit(name), "NRestarts")) >= 2
    await production.bluegreen("switch", "back")
    poison.unlink()
    assert await production.served() == "v1"


async def test_one_that_ignores_sigterm_is_killed_in_time_and_deploys_go_on(
    production: Production,
) -> None:
    await production.deploy("v3-ignores-sigterm")
    name = await slot(production, "active")
    await production.deploy("v2")
    assert await production.unit(unit(name), "TimeoutStopUSec") == "1s"
    await production.deploy("v1")  # into the slot of the one that does not want to leave it
    assert await production.served() == "v1"
    assert await slot(production, "active") == name
    said = await production.host.run("journalctl", "-u", unit(name), "-o", "cat", "--no-pager")
    assert "ignores SIGTERM" in said.output
    assert "timed out. Killing" in said.output


async def test_one_that_runs_out_of_memory_is_refused_with_that_reason(
    production: Production,
) -> None:
    said = await production.host.run("cat", "/sys/fs/cgroup/cgroup.controllers")
    if "memory" not in said.output.split():
        pytest.skip("this machine gives its hosts no memory controller")
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    limited = '[services.api]\nlimits = { memory = "64MiB" }\n'
    file.write_text(text.replace("[services.api]\n", limited))
    name = unit(await slot(production, "idle"))
    drop_in = production.path(f"/etc/systemd/system/{name}.d/no-swap.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nMemorySwapMax=0\n")
    try:
        await production.bluegreen("apply")
        assert "out of memory (OOM kill)" in await refused(production, "eats-memory")
    finally:
        file.write_text(text)
        drop_in.unlink()
        drop_in.parent.rmdir()
        await production.bluegreen("apply")


async def test_one_that_daemonises_is_refused_and_nothing_of_it_stays(
    production: Production,
) -> None:
    said = await refused(production, "daemonises")
    assert "service api " in said
    assert "exit status 0" in said
    assert "foreground" in said
    assert await processes(production, "daemonises") == []


async def test_one_that_serves_from_a_forked_process_is_known_as_its_own_and_stops_wholly(
    production: Production,
) -> None:
    await production.deploy("serves-from-afar")
    assert await production.served() == "serves-from-afar"
    name = await slot(production, "active")
    assert len(await processes(production, "serves-from-afar")) == 2
    await production.bluegreen("switch", "back")
    await production.host.run("systemctl", "stop", unit(name))
    assert await processes(production, "serves-from-afar") == []


async def test_a_port_that_a_stranger_holds_is_found_before_anything_is_done(
    production: Production,
) -> None:
    idle = await slot(production, "idle")
    await production.host.run("systemctl", "stop", unit(idle))
    await production.host.run(
        "systemd-run",
        "--unit=stranger",
        "/usr/bin/python3",
        "-m",
        "http.server",
        str(port(idle)),
    )
    await listens(production, port(idle))
    try:
        said = await refused(production, "v2")
    finally:
        await production.host.run("systemctl", "stop", "stranger.service")
    assert f"ports of the {idle} slot are in use by strangers" in said
    assert f":{port(idle)}" in said
    assert "fetch" not in said
    await production.deploy("v2")


async def test_an_nginx_that_was_killed_can_be_started_again(production: Production) -> None:
    await production.host.run("systemctl", "kill", "--signal=KILL", "nginx.service")

    async def is_down() -> bool:
        return await production.unit("nginx.service", "ActiveState") == "failed"

    await eventually(is_down, "nginx has ended")
    await production.host.run("systemctl", "start", "nginx.service")
    assert await production.served() == "v1"


async def test_one_that_listens_on_another_port_is_refused_with_both(
    production: Production,
) -> None:
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    text = file.read_text()
    assert DEADLINE in text
    try:
        file.write_text(text.replace(DEADLINE, 'deadline = "8s"'))
        await take_up(production)
        said = await refused(production, "v3-hard-coded-port")
    finally:
        file.write_text(text)
        await take_up(production)
    idle = await slot(production, "idle")
    assert f"api listens on 9099, not on {port(idle)}" in said


async def test_a_unit_stopped_by_an_administrator_during_the_gate_is_a_refusal(
    production: Production,
) -> None:
    idle = await slot(production, "idle")
    deploying = asyncio.create_task(production.deploy("v3-unhealthy", check=False))

    async def is_gated() -> bool:
        operation = (await app(production))["operation"]
        return operation is not None and operation["phase"] == "gate"

    await eventually(is_gated, "it is in its gate")
    await production.host.run("systemctl", "stop", unit(idle))
    said = await deploying
    assert said.status == 1
    assert "service api does not run (stopped): stopped from outside" in said.output
    assert "not healthy within" not in said.output  # at once, and not first at its deadline
    assert await production.served() == "v1"
    assert await processes(production, "v3-unhealthy") == []


async def test_a_unit_stopped_by_an_administrator_while_it_serves_stays_so_and_is_shown(
    production: Production,
) -> None:
    await production.deploy("v2")
    name = await slot(production, "active")
    await production.host.run("systemctl", "stop", unit(name))

    async def is_known() -> bool:
        return bool((await api(production, name))["state"] == "stopped")

    await eventually(is_known, "the daemon has heard of it")
    said = (await production.bluegreen("status", APP)).output
    assert "NOT HEALTHY" in said
    assert "api stopped (stopped from outside" in said
    # The way back is as it was, and so is the way to a release that is stopped.
    await production.bluegreen("switch", "back")
    assert await production.served() == "v1"
    await production.bluegreen("switch", "back")
    assert await production.served() == "v2"
    # And a restart brings it up in the other slot.
    await production.host.run("systemctl", "stop", unit(name))
    await eventually(is_known, "the daemon has heard of it")
    await production.bluegreen("restart", APP)
    assert await production.served() == "v2"
    assert await slot(production, "active") != name


async def test_what_an_administrator_starts_again_serves_again(production: Production) -> None:
    name = await slot(production, "active")
    await production.host.run("systemctl", "stop", unit(name))
    await production.host.run("systemctl", "start", unit(name))

    async def serves() -> bool:
        return bool((await api(production, name))["state"] == "running")

    await eventually(serves, "the daemon has heard of it")
    await listens(production, port(name))
    assert await production.served() == "v1"


async def test_a_unit_edited_by_hand_is_shown_and_restored_by_apply(
    production: Production,
) -> None:
    idle = await slot(production, "idle")
    file = production.path(f"/etc/systemd/system/{unit(idle)}")
    text = file.read_text()
    file.write_text(text.replace("ExecStart=", "ExecStart=/bin/false ", 1))
    await production.host.run("systemctl", "daemon-reload")
    assert "exit status 1" in await refused(production, "v2")  # an administrator's word counts

    shown = (await production.bluegreen("apply", "--dry-run")).output
    assert "-ExecStart=/bin/false" in shown
    assert "/bin/false" in file.read_text()
    await production.bluegreen("apply")
    assert file.read_text() == text
    await production.deploy("v2")
    assert await production.served() == "v2"


async def test_without_the_polkit_rule_it_is_said_what_is_missing_and_apply_writes_it(
    production: Production,
) -> None:
    idle = unit(await slot(production, "idle"))
    rule = production.path("/etc/polkit-1/rules.d/50-bluegreen.rules")
    rule.unlink()

    async def may_nothing() -> bool:
        asked = ("systemctl", "reset-failed", idle)
        return (await production.host.run(*asked, user="bluegreen", check=False)).status != 0

    await eventually(may_nothing, "polkit has noticed")
    said = await refused(production, "v2")
    assert "systemd does not let this user do that" in said
    assert "the polkit rule that lets the daemon manage its units is missing" in said
    assert "`bluegreen apply` as root" in said
    await production.bluegreen("apply")
    assert rule.exists()

    async def may() -> bool:
        return not await may_nothing()

    await eventually(may, "polkit has noticed")
    await production.deploy("v2")


async def test_a_drop_in_of_an_administrator_is_left_and_honoured(production: Production) -> None:
    idle = await slot(production, "idle")
    drop_in = production.path(f"/etc/systemd/system/{unit(idle)}.d/mine.conf")
    drop_in.parent.mkdir()
    drop_in.write_text("[Service]\nLimitNOFILE=1234\n")
    await production.host.run("systemctl", "daemon-reload")
    shown = json.loads((await production.bluegreen("apply", "--json")).output)
    assert shown["files"] == []
    assert drop_in.exists()
    await production.deploy("v2")
    assert await slot(production, "active") == idle
    pid = await production.unit(unit(idle), "MainPID")
    limits = (await production.host.run("cat", f"/proc/{pid}/limits")).output
    assert "1234" in next(line for line in limits.splitlines() if line.startswith("Max open files"))
