"""bluegreen taken off a host on which an app serves, and brought back."""

from __future__ import annotations

from tests.install.prepared import Installed
from tests.waiting import eventually


async def test_the_apps_serve_on_without_it_and_over_a_reboot(installed: Installed) -> None:
    await installed.serve_the_sample_app()
    async with installed.load() as load:
        await load.ready()
        # What is installed later need not be made again.
        await installed.host.run("cp", "-al", "/opt/bluegreen/versions", "/srv/kept")
        said = await installed.run_installer("--uninstall")
        assert await installed.served() == "v1"
        report = await load.stop()
    assert (report.failed, report.websockets_cut) == (0, 0)
    assert "left as they are: bluegreen-monitor-api@blue.service" in said.output
    assert (await installed.command("status", check=False)).status == 127
    for gone in ("/opt/bluegreen/versions", "/opt/bluegreen/current",
                 "/usr/local/lib/systemd/system/bluegreen.service"):  # fmt: skip
        assert not installed.path(gone).exists()

    await installed.host.reboot()
    await eventually_served(installed)
    again = await installed.run_installer("--uninstall")
    assert "not installed" in again.output
    await installed.host.run("mv", "/srv/kept", "/opt/bluegreen/versions")
    back = await installed.run_installer()
    assert "bluegreen.service is ready" in back.output
    app = await installed.seen()
    assert app["slots"][app["active"]]["version"] == "v1"


async def test_nothing_of_the_program_is_left_where_no_app_needs_it(installed: Installed) -> None:
    await installed.run_installer("--uninstall")
    assert not installed.path("/opt/bluegreen").exists()
    left = await installed.host.run(
        "find",
        "/usr/local",
        "/etc/systemd",
        "/etc/fish",
        "-name",
        "*bluegreen*",
        "-newer",
        "/srv/wheels",
    )
    assert left.output == ""
    assert installed.path("/etc/bluegreen/apps").is_dir()

    # What a run has left that was killed among the last steps.
    installed.path("/opt/bluegreen/versions/1/bin").mkdir(parents=True)
    installed.path("/opt/bluegreen/.current.0a1b2c3d.tmp").symlink_to("versions/1")
    installed.path("/opt/bluegreen/enabled").touch()
    again = await installed.run_installer("--uninstall")
    assert "removed what was left of the program" in again.output
    assert not installed.path("/opt/bluegreen").exists()


async def eventually_served(installed: Installed) -> None:
    async def serves() -> bool:
        try:
            return bool(await installed.served() == "v1")
        except AssertionError:  # not yet
            return False

    await eventually(serves, "the app serves after the boot")
