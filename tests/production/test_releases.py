"""Releases on a systemd host, as its operator makes them."""

from __future__ import annotations

from tests.production.asking import latest_operation
from tests.production.production import Production


async def test_a_release_goes_out_and_back_under_load_and_nobody_notices(
    production: Production,
) -> None:
    await production.deploy("v1")
    assert await production.served() == "v1"
    async with production.load() as load:
        await load.ready()
        await production.deploy("v2")
        assert await production.served() == "v2"
        phases = (await latest_operation(production))["phases"]
        [watch] = [phase["data"] for phase in phases if phase["phase"] == "watch"]
        await production.bluegreen("switch", "back")
        assert await production.served() == "v1"
        report = await load.stop()
    assert report.failures == ()
    assert report.failed == 0
    # nginx's workers, who are another user than the daemon, have told it of them.
    assert watch["requests"] > 0
    assert watch["before"]["requests"] > 0
    assert (report.websockets_cut, report.downloads_broken) == (0, 0)
