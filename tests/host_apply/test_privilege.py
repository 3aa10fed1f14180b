"""Who may do what on a host after ``bluegreen apply``: the daemon's user, and an app's.

What they are refused on a host in production: ``tests/production/test_privileges.py``.
"""

from __future__ import annotations

from tests.host.lab import Said
from tests.host_apply.installed import Installed

MAILER = "bluegreen-shop-mailer@blue.service"
NOT_ALLOWED = ("Permission denied",)


def _is_refused(said: Said) -> bool:
    return said.status != 0 and any(text in said.output for text in NOT_ALLOWED)


async def _with_a_release(installed: Installed) -> None:
    await installed.apply()
    app = installed.path("/var/lib/bluegreen/apps/shop")
    (app / "slots/blue").symlink_to("/tmp")
    (app / "wanted/blue").write_text("v1\n")


async def test_the_daemon_may_run_the_units_of_apps(installed: Installed) -> None:
    await _with_a_release(installed)
    for verb, state in (("start", "active"), ("restart", "active"), ("stop", "inactive")):
        await installed.host.run("systemctl", verb, MAILER, user="bluegreen")
        assert await installed.unit(MAILER, "ActiveState") == state
    await installed.host.run("systemctl", "reload", "nginx.service", user="bluegreen")


async def test_an_apps_user_reads_neither_the_store_nor_secrets(installed: Installed) -> None:
    await _with_a_release(installed)
    store = installed.path("/var/lib/bluegreen/bluegreen.db")
    store.write_text("tokens")
    store.chmod(0o644)
    await installed.host.run("chown", "bluegreen:", "/var/lib/bluegreen/bluegreen.db")
    assert "the store" in (await installed.apply()).output
    for file in ("/var/lib/bluegreen/bluegreen.db", "/etc/bluegreen/secrets/jwt"):
        said = await installed.host.run("cat", file, user="shop", check=False)
        assert _is_refused(said), said.output
    said = await installed.host.run("cat", "/var/lib/bluegreen/bluegreen.db", user="bluegreen")
    assert said.output == "tokens"


async def test_an_apps_user_does_not_touch_what_is_the_daemons(installed: Installed) -> None:
    await _with_a_release(installed)
    app = "/var/lib/bluegreen/apps/shop"
    await installed.host.run("touch", f"{app}/trees/stamp", user="bluegreen")
    await installed.host.run("mkdir", "-m", "770", f"{app}/trees/1-green", user="bluegreen")
    for command in (
        ("rm", f"{app}/trees/stamp"),
        ("touch", f"{app}/trees/2-green.json"),
        ("mv", f"{app}/trees/1-green", f"{app}/trees/2-green"),
        ("touch", f"{app}/traffic/green"),
        ("touch", f"{app}/wanted/green"),
        ("ln", "-sfn", "/etc", f"{app}/slots/blue"),
        ("mv", "/run/bluegreen/apps/shop/jobs", "/run/bluegreen/apps/shop/mine"),
        ("touch", "/run/bluegreen/apps/shop/jobs/1.json"),
    ):
        said = await installed.host.run(*command, user="shop", check=False)
        assert said.status == 1, command
    await installed.host.run(
        "touch", f"{app}/trees/1-green/mine", f"{app}/shared/mine", user="shop"
    )
