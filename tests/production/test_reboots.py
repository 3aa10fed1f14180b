"""The host goes down, in order or by a crash, and comes up again: the right slot serves."""

from __future__ import annotations

from typing import Any

import pytest

from tests.production.agreement import agreement
from tests.production.asking import APP_PATH, ask, latest_operation
from tests.production.ends import End, Held, crash, reboot
from tests.production.holding import OPTIONS, POINTS, Hold, Point, at, set_up
from tests.production.production import APP, DAEMON, Production
from tests.waiting import eventually

# A host boots nine times in one of them, while other tests run.
pytestmark = pytest.mark.timeout(900)
SERVICES: tuple[str, ...] = OPTIONS["services"]


async def test_the_marked_slot_serves_after_a_boot_without_the_daemon(bare: Production) -> None:
    await set_up(bare)
    await bare.bluegreen("switch", "to", "green")
    await bare.host.run("systemctl", "disable", DAEMON)
    # As after its hot time: blue is not to run any more.
    bare.path(f"/var/lib/bluegreen/apps/{APP}/wanted/blue").unlink()
    await bare.host.reboot()
    assert await bare.unit(DAEMON, "ActiveState") == "inactive"
    assert await eventually(lambda: _served(bare), "it serves") == "v2"
    for slot, state in (("green", "active"), ("blue", "inactive")):
        for service in SERVICES:
            assert await bare.unit(_unit(service, slot), "ActiveState") == state
    await bare.host.run("systemctl", "start", DAEMON)
    assert (await agreement(bare))["active"] == "green"
    await bare.deploy("v1")
    assert await bare.served() == "v1"


@pytest.mark.parametrize("end", [reboot, crash], ids=lambda end: end.__name__)
async def test_a_host_that_goes_down_in_any_phase_of_a_deploy_comes_up_with_the_right_slot(
    bare: Production, end: End
) -> None:
    await set_up(bare)
    await bare.host.run("systemctl", "enable", DAEMON)
    for point in POINTS:
        await _trial(bare, point, end)
    await bare.deploy("v2")
    assert await bare.served() == "v2"


async def test_a_release_whose_services_are_stopped_before_the_daemon_is_not_ill(
    bare: Production,
) -> None:
    """In which order a host that goes down stops what nobody orders, nobody knows."""
    await set_up(bare)
    units = [_unit(service, slot) for service in SERVICES for slot in ("blue", "green")]
    drop_in = bare.path(f"/etc/systemd/system/{DAEMON}.d/last.conf")
    drop_in.parent.mkdir(exist_ok=True)
    drop_in.write_text(f"[Unit]\nBefore={' '.join(units)}\n")
    await bare.host.run("systemctl", "enable", DAEMON)

    async def reboot_in_that_order(production: Production, _: Held) -> None:
        await production.host.shut_down()
        drop_in.unlink()  # else it would come first in the boot, and wait for them
        await production.host.boot()

    await _trial(bare, at("watch"), reboot_in_that_order)


async def _trial(production: Production, point: Point, end: End) -> None:
    """One deploy in which the host goes down; the next trial's shows that a next one works."""
    await agreement(production)
    async with Hold(production, point).at_its_point() as hold:
        await end(production, hold)
    outcome = point.killed if end is crash else point.told
    active, version = ("green", "v2") if outcome == "succeeded" else ("blue", "v1")
    # Whose services have been started, and listen only a moment later.
    assert await eventually(lambda: _served(production), "it serves") == version, str(point)
    status = await agreement(production)
    operation = await latest_operation(production)
    assert operation["state"] == outcome, f"{point}: {operation}"
    assert status["active"] == active, str(point)
    if active == "green":
        assert (await ask(production, "POST", f"{APP_PATH}/switch", {"to": "back"}))[0] == 200


async def _served(production: Production) -> Any:
    """The version that visitors get; None as long as they get none."""
    try:
        return await production.served()
    except AssertionError:
        return None


def _unit(service: str, slot: str) -> str:
    return f"bluegreen-{APP}-{service}@{slot}.service"
