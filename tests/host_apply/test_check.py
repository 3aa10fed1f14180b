"""What ``bluegreen apply`` refuses on a host, or warns of, ``bluegreen check`` says before it."""

from __future__ import annotations

import json

from tests.host_apply.installed import SHOP, UNITS, Installed

FILE = "/etc/bluegreen/apps/shop.toml"
SECRET = "/etc/bluegreen/secrets/jwt"


async def _refused_by_both(installed: Installed, *parts: str) -> None:
    check = await installed.bluegreen("check", check=False)
    apply = await installed.apply(check=False)
    assert check.status == 2, check.output
    assert apply.status != 0, apply.output
    for part in parts:
        assert part in check.output
        assert part in apply.output


async def test_check_and_apply_refuse_the_same(installed: Installed) -> None:
    assert (await installed.bluegreen("check")).output == "1 file checked: all is well\n"
    installed.app_file(SHOP.replace('user = "shop"', 'user = "shpo"'))
    await _refused_by_both(installed, f'{FILE}:3: app.user: this host has no user "shpo"')
    installed.app_file(SHOP)
    await installed.host.run("chown", "shop", SECRET)
    changeable = f"{SECRET} is not only root's to change"
    await _refused_by_both(installed, f"{FILE}:10: env.JWT_SECRET: ", changeable)
    await installed.host.run("chown", "root", SECRET)
    stranger = installed.path(f"/{UNITS}/bluegreen-shop-api@blue.service")
    stranger.write_text("[Service]\nExecStart=/bin/true\n")
    await _refused_by_both(installed, str(stranger).removeprefix(str(installed.host.root)))
    said = json.loads((await installed.bluegreen("check", "--json", check=False)).output)
    assert said["refusal"]["error"] == "refused"
    assert said["problems"] == said["unseen"] == []
    stranger.unlink()
    launcher = installed.path("/opt/bluegreen/libexec/bluegreen-job")
    launcher.chmod(0o777)
    await _refused_by_both(installed, "Next: install bluegreen")
    launcher.chmod(0o755)
    assert (await installed.bluegreen("check")).output == "1 file checked: all is well\n"


async def test_a_file_that_is_not_installed_yet_is_judged_by_the_host_as_well(
    installed: Installed,
) -> None:
    draft = installed.path("/root/shop.toml")
    draft.write_text(SHOP.replace('user = "shop"', 'user = "root"'))
    said = await installed.bluegreen("check", "/root/shop.toml", check=False)
    assert said.status == 2
    assert "/root/shop.toml:3: app.user: an app may not run as root" in said.output


async def test_a_secret_that_is_missing_is_named_with_its_key_and_its_line(
    installed: Installed,
) -> None:
    installed.path(SECRET).unlink()
    missing = f"{FILE}:10: env.JWT_SECRET: the secret file {SECRET} cannot be read: No such file"
    said = await installed.bluegreen("check", check=False)
    assert said.status == 2
    assert missing in said.output
    assert f"Make {SECRET} a text file that only root may read: mode 0600." in said.output
    # What serves needs nothing of it until it is started anew, so apply does its work.
    said = await installed.apply()
    assert f"warning: {missing}" in said.output
    assert "done: " in said.output


async def test_what_the_daemon_may_not_read_is_named_and_what_it_may_is_fine(
    installed: Installed,
) -> None:
    webhook = f"""
[[webhook]]
provider = "github"
secret = {{ file = "{SECRET}" }}
on = "push"
branches = ["main"]
version = "commit"
"""
    installed.app_file(SHOP + webhook)
    closed = (
        "webhook[0].secret: the daemon, which is the user bluegreen, may not read "
        f"{SECRET}: /etc/bluegreen/secrets is closed to it"
    )
    said = await installed.bluegreen("check", check=False)
    assert said.status == 2
    assert closed in said.output
    assert f"warning: {FILE}:" in (said := await installed.apply()).output
    assert closed in said.output
    of_daemon = ("-o", "bluegreen", "-g", "root")
    await installed.host.run("install", "-d", "-m0500", *of_daemon, "/etc/bluegreen/webhooks")
    secret = "/etc/bluegreen/webhooks/shop"
    await installed.host.run("install", "-m0400", *of_daemon, SECRET, secret)
    installed.app_file(SHOP + webhook.replace(SECRET, secret))
    assert (await installed.bluegreen("check")).output == "1 file checked: all is well\n"
    await installed.host.run("chown", "root", secret)
    said = await installed.bluegreen("check", check=False)
    assert f"may not read {secret}: {secret} is closed to it" in said.output
