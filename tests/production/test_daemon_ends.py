"""The daemon ends in the middle of a deploy, one way or another: only its operator notices."""

from __future__ import annotations

from typing import Any

import pytest

from tests.production.agreement import agreement
from tests.production.asking import APP_PATH, ask, latest_operation
from tests.production.ends import End, kill, restart, stop
from tests.production.holding import POINTS, Hold, Point, set_up
from tests.production.production import Production

# Nine deploys and their ends each, while other tests run.
pytestmark = pytest.mark.timeout(900)


@pytest.mark.parametrize("end", [restart, stop, kill], ids=lambda end: end.__name__)
async def test_a_daemon_that_ends_in_any_phase_of_a_deploy_is_missed_by_nobody(
    bare: Production, end: End
) -> None:
    await set_up(bare)
    async with bare.load(connections=8, think=0.05) as load:
        await load.ready()
        for point in POINTS:
            await _trial(bare, point, end)
        report = await load.stop()
    assert report.failures == ()


async def _trial(production: Production, point: Point, end: End) -> None:
    """One deploy in which the daemon ends; the next trial's shows that a next one works."""
    before = await agreement(production)
    async with Hold(production, point).at_its_point() as hold:
        await end(production, hold)
    status = await agreement(production)
    operation = await latest_operation(production)
    outcome = point.killed if end is kill else point.told
    assert operation["state"] == outcome, f"{point}: {operation}"
    assert status["active"] == ("green" if outcome == "succeeded" else "blue"), str(point)
    assert _pids(status) == _pids(before), f"{point}: an app has died with the daemon"
    if status["active"] == "green":
        assert (await ask(production, "POST", f"{APP_PATH}/switch", {"to": "back"}))[0] == 200


def _pids(status: Any) -> Any:
    """Of the release that served when the deploy began."""
    services = status["slots"]["blue"]["services"]
    return {name: service["pid"] for name, service in services.items()}
