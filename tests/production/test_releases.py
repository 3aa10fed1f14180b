"""Releases on a systemd host, as its operator makes them."""

from __future__ import annotations

from tests.production.asking import latest_operation
from tests.production.production import APP, PORTS, Production
from tests.waiting import eventually

ASSETS = f"/var/lib/bluegreen/apps/{APP}/assets"
WEBSOCKETS = 4


async def test_a_release_goes_out_and_back_under_load_and_nobody_notices(
    production: Production,
) -> None:
    file = production.path(f"/etc/bluegreen/apps/{APP}.toml")
    route = '[[routes]]\npath = "/"\n'
    assert route in file.read_text()
    file.write_text(file.read_text().replace(route, f'{route}assets = "dist"\n'))
    await production.bluegreen("apply")
    await production.deploy("v1")
    assert await production.served() == "v1"
    async with production.load(websockets=WEBSOCKETS) as load:
        await load.ready()
        await production.deploy("v2")
        assert await production.served() == "v2"
        phases = (await latest_operation(production))["phases"]
        [watch] = [phase["data"] for phase in phases if phase["phase"] == "watch"]
        await assert_assets_are_there(production, of="blue")
        await expect_websockets_alone(production, "blue", WEBSOCKETS)
        await production.bluegreen("switch", "back")
        await assert_assets_are_there(production, of="green")
        assert await production.served() == "v1"
        report = await load.stop()
    assert report.failures == ()
    assert report.failed == 0
    # nginx's workers, who are another user than the daemon, have told it of them.
    assert watch["requests"] > 0
    assert watch["before"]["requests"] > 0
    assert (report.websockets_cut, report.downloads_broken) == (0, 0)


async def assert_assets_are_there(production: Production, *, of: str) -> None:
    """nginx's workers read what was built in the slot ``of``, and the app's user may not write it.

    It is all that there is.
    """
    said = await production.host.run(
        "find", f"{ASSETS}/{of}/", "-type", "f", "-printf", "%f %M %u\n"
    )
    bundle, manifest = sorted(said.output.splitlines())
    name = bundle.split()[0]
    assert (bundle, manifest) == (
        f"{name} -rw-r--r-- bluegreen", "manifest.json -rw-r--r-- bluegreen",
    )  # fmt: skip
    assert name.startswith("app-")
    shown = await production.ask(f"/{name}")
    assert shown.strip() == production.path(f"{ASSETS}/{of}/{name}").read_text().strip()
    for user, way, status in ((APP, "-w", 1), ("www-data", "-r", 0)):
        said = await production.host.run(
            "test", way, f"{ASSETS}/{of}/{name}", user=user, check=False
        )
        assert said.status == status, (user, way)


async def expect_websockets_alone(production: Production, slot: str, count: int) -> None:
    """Of the connections to the slot that traffic has left, those count that clients have."""

    async def connections() -> int:
        found: int = (await production.status())["apps"][0]["slots"][slot]["connections"]
        return found

    async def downloads_have_ended() -> bool:
        return await connections() == count

    await eventually(downloads_have_ended, f"{count} connections to {slot}")
    # Its pages ask its own API, and keep that connection: the daemon knows it by the unit.
    assert "unreachable" not in await production.ask("/status", at=f"http://127.0.0.1:{PORTS[0]}")
    assert await connections() == count
