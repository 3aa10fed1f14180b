"""``bluegreen apply`` on a real systemd host: what it writes, refuses, puts back and removes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.host_apply.installed import SHOP, UNITS, Installed

UNIT = f"{UNITS}/bluegreen-shop-api@blue.service"
NGINX = "etc/nginx/bluegreen"
APP = "/var/lib/bluegreen/apps/shop"
NOTHING = "nothing to do"
NO_DAEMON = "the daemon does not run; start it: sudo systemctl enable --now bluegreen"


def _written(installed: Installed) -> dict[str, str]:
    """Every file of ours under /etc, by its path."""
    places = ("etc/systemd/system", "etc/nginx", "etc/tmpfiles.d", "etc/polkit-1/rules.d")
    found = {}
    for place in places:
        for path in sorted(installed.path(place).rglob("*bluegreen*")):
            if path.is_symlink():
                found[str(path)] = str(path.readlink())
        for path in sorted(installed.path(place).rglob("*")):
            if path.is_file() and not path.is_symlink():
                text = path.read_text(errors="replace")
                if "Written by bluegreen" in text.split("\n")[0]:
                    found[str(path)] = text
    return found


async def _owner(installed: Installed, *paths: str) -> list[str]:
    said = await installed.host.run("stat", "-c", "%a %U:%G", *paths)
    return said.output.splitlines()


async def _nginx_workers(installed: Installed) -> str:
    """Their PIDs: others after a reload."""
    return (await installed.host.run("pgrep", "-f", "nginx: worker process")).output


async def test_a_dry_run_shows_everything_and_does_nothing(installed: Installed) -> None:
    said = await installed.apply("--dry-run")
    assert f"+++ /{UNIT}" in said.output
    assert "+User=shop" in said.output
    assert "nothing was done" in said.output
    assert "s3cret" not in said.output
    assert _written(installed) == {}
    assert not installed.path("/var/lib/bluegreen").exists()
    document = await installed.apply_json("--dry-run")
    assert document["changed"] is True
    assert document["dry_run"] is True
    assert {file["change"] for file in document["files"]} == {"create"}


async def test_what_is_applied_is_there_and_is_not_applied_again(installed: Installed) -> None:
    said = await installed.apply()
    assert "s3cret" not in said.output
    files = _written(installed)
    assert not [path for path, text in files.items() if "s3cret" in text]
    verified = await installed.host.run(
        "systemd-analyze", "verify", "bluegreen.target", "bluegreen-shop-api@blue.service",
        "bluegreen-shop-mailer@green.service", "bluegreen-shop-job@1.service",
    )  # fmt: skip
    assert verified.output == ""
    # nginx has loaded the site; no release is there yet.
    asked = await installed.host.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8080/"
    )
    assert asked.output == "503"
    assert await _owner(installed, f"{APP}/traffic/special/closed") == ["644 bluegreen:bluegreen"]
    wants = await installed.unit("bluegreen.target", "Wants")
    assert "bluegreen-shop-api@green.service" in wants
    assert (await installed.host.run("systemctl", "is-enabled", "bluegreen.target")).status == 0

    workers = await _nginx_workers(installed)
    again = await installed.apply()
    assert again.output.splitlines() == [NOTHING, NO_DAEMON]
    assert (await installed.apply_json())["changed"] is False
    assert (await installed.apply("--dry-run")).output == "nothing to do\n"
    assert _written(installed) == files
    assert await _nginx_workers(installed) == workers


async def test_directories_have_their_owners_and_modes(installed: Installed) -> None:
    await installed.apply()
    state, app, run = "/var/lib/bluegreen", APP, "/run/bluegreen/apps/shop"
    parts = (
        "slots", "trees", "shared", "backups", "cache", "cache/build", "traffic", "wanted"
    )  # fmt: skip
    assert await _owner(installed, state, app, *(f"{app}/{part}" for part in parts)) == [
        "755 bluegreen:bluegreen", "751 bluegreen:bluegreen", "755 bluegreen:bluegreen",
        "2750 bluegreen:shop", "750 shop:bluegreen", "700 shop:shop", "750 bluegreen:shop",
        "700 shop:shop", "755 bluegreen:bluegreen", "755 bluegreen:bluegreen",
    ]  # fmt: skip
    assert await _owner(installed, run, f"{run}/jobs", f"{run}/work") == [
        "3771 bluegreen:shop", "2750 bluegreen:shop", "2750 bluegreen:shop",
    ]  # fmt: skip
    installed.path(f"{app}/trees").chmod(0o777)
    assert f"directory {app}/trees" in (await installed.apply()).output
    assert await _owner(installed, f"{app}/trees") == ["2750 bluegreen:shop"]


async def test_root_follows_no_link_that_the_daemon_could_have_made(installed: Installed) -> None:
    await installed.apply()
    trees = installed.path(f"{APP}/trees")
    trees.rmdir()
    trees.symlink_to("/etc/nginx")
    before = await _owner(installed, "/etc/nginx")
    said = await installed.apply(check=False)
    assert said.status == 1
    assert "is a link" in said.output
    assert await _owner(installed, "/etc/nginx") == before


async def test_a_changed_app_file_changes_what_it_says_and_no_more(installed: Installed) -> None:
    await installed.apply()
    before = _written(installed)
    installed.app_file(SHOP.replace("tasks = 100", "tasks = 77"))
    said = await installed.apply()
    assert "-TasksMax=100\n+TasksMax=77" in said.output
    assert "have systemd read its units again" in said.output
    assert "nginx" not in said.output
    after = _written(installed)
    assert {Path(path).name for path in after if after[path] != before[path]} == {
        "bluegreen-shop-api@blue.service",
        "bluegreen-shop-api@green.service",
    }
    assert await installed.unit("bluegreen-shop-api@blue.service", "TasksMax") == "77"


async def test_an_edited_unit_is_put_right(installed: Installed) -> None:
    await installed.apply()
    unit = installed.path(UNIT)
    right = unit.read_text()
    unit.write_text(right + "# by hand\n")
    assert "-# by hand" in (await installed.apply()).output
    assert unit.read_text() == right


async def test_what_an_apply_that_was_killed_has_left_undone_is_done(installed: Installed) -> None:
    await installed.apply()
    installed.app_file(SHOP.replace("tasks = 100", "tasks = 77").replace("8080", "8081"))
    shown = await installed.apply_json("--dry-run")
    # As if it had been killed when all files were written: neither systemd nor nginx knows.
    for file in shown["files"]:
        path = installed.path(file["path"])
        text = path.read_text().replace("TasksMax=100", "TasksMax=77").replace("8080", "8081")
        path.write_text(text)
    await installed.host.run("systemctl", "start", "bluegreen-shop-api@blue.service", check=False)
    said = (await installed.apply()).output
    assert "have nginx load its files" in said
    await installed.host.run("curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8081/")
    assert await installed.unit("bluegreen-shop-api@blue.service", "NeedDaemonReload") == "no"
    assert (await installed.apply()).output.splitlines() == [NOTHING, NO_DAEMON]


async def test_a_stranger_in_the_place_of_a_file_is_left_alone(installed: Installed) -> None:
    unit, site = installed.path(UNIT), installed.path(f"/{NGINX}/sites/shop.conf")
    unit.write_text("[Service]\nExecStart=/bin/true\n")
    site.parent.mkdir(parents=True)
    site.symlink_to("/dev/null")
    said = await installed.apply(check=False)
    assert said.status == 1
    assert f"/{UNIT}" in said.output
    assert f"/{NGINX}/sites/shop.conf" in said.output
    assert "Next: move these elsewhere" in said.output
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"
    assert site.is_symlink()
    assert _written(installed) == {}
    assert json.loads((await installed.apply("--json", check=False)).output)["error"] == "refused"


async def test_a_site_that_nginx_refuses_is_put_back_with_everything(installed: Installed) -> None:
    await installed.apply()
    before = _written(installed)
    installed.path("/etc/nginx/conf.d/other.conf").write_text("server { listne 81; }\n")
    installed.app_file(SHOP.replace("8080", "8082").replace("tasks = 100", "tasks = 77"))
    said = await installed.apply(check=False)
    assert said.status == 1
    assert 'unknown directive "listne" in /etc/nginx/conf.d/other.conf:1' in said.output
    assert _written(installed) == before
    assert await installed.unit("bluegreen-shop-api@blue.service", "NeedDaemonReload") == "no"
    installed.path("/etc/nginx/conf.d/other.conf").unlink()
    await installed.apply()
    await installed.host.run("curl", "-s", "-o", "/dev/null", "http://127.0.0.1:8082/")


async def test_a_name_that_another_site_has_too_is_said_with_what_to_do(
    installed: Installed,
) -> None:
    named = SHOP.replace('listen = ["8080"]', 'listen = ["8080"]\nserver_name = ["shop.test"]')
    other = "server { listen 8080; server_name shop.test; }\n"
    installed.path("/etc/nginx/conf.d/a-other.conf").write_text(other)
    installed.app_file(named)
    conflict = 'warning: nginx warns: conflicting server name "shop.test" on 0.0.0.0:8080, ignored'
    said = (await installed.apply()).output
    assert f"{conflict}; two sites have that name there" in said
    assert "see which: nginx -T" in said
    assert conflict in (await installed.apply("--dry-run")).output
    (warning,) = (await installed.apply_json())["warnings"]
    assert f"warning: {warning}" in said
    installed.path("/etc/nginx/conf.d/a-other.conf").write_text("server { listne 81; }\n")
    assert 'unknown directive "listne"' in (await installed.apply("--dry-run")).output


async def test_of_a_new_app_that_nginx_refuses_nothing_is_left(installed: Installed) -> None:
    installed.path("/etc/nginx/conf.d/other.conf").write_text("server { listne 81; }\n")
    assert (await installed.apply(check=False)).status == 1
    assert _written(installed) == {}
    assert not installed.path("/var/lib/bluegreen").exists()
    installed.path("/etc/nginx/conf.d/other.conf").unlink()
    await installed.apply()
    installed.path("/etc/nginx/conf.d/other.conf").write_text("server { listne 81; }\n")
    other = SHOP.replace('name = "shop"', 'name = "other"').replace("90", "70")
    installed.app_file(other.replace("91", "71").replace("8080", "8090"), "other")
    assert (await installed.apply(check=False)).status == 1
    apps = installed.path("/var/lib/bluegreen/apps")
    assert [path.name for path in apps.iterdir()] == ["shop"]
    assert await _owner(installed, f"{APP}/traffic/special/closed") == ["644 bluegreen:bluegreen"]


async def test_a_port_that_nginx_does_not_get_puts_the_old_site_back(installed: Installed) -> None:
    await installed.apply()
    before = _written(installed)
    await installed.host.run(
        "systemd-run", "--unit=holder", "--property=Type=exec",
        "/usr/bin/python3", "-c",
        "import socket, time; s = socket.create_server(('0.0.0.0', 8083)); time.sleep(600)",
    )  # fmt: skip
    await installed.host.run("sh", "-c", "until ss -tln | grep -q :8083; do sleep 0.1; done")
    installed.app_file(SHOP.replace("8080", "8083"))
    said = await installed.apply(check=False)
    assert said.status == 1
    assert "nginx" in said.output
    assert _written(installed) == before
    asked = await installed.host.run(
        "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8080/"
    )
    assert asked.output == "503"
    assert await _owner(installed, f"{APP}/traffic/special/closed") == ["644 bluegreen:bluegreen"]


async def test_what_is_gone_is_stopped_and_removed(installed: Installed) -> None:
    installed.app_file(
        SHOP.replace('"shop"', '"other"', 1).replace("90", "70").replace("91", "71")
        .replace("8080", "8090"), "other",
    )  # fmt: skip
    await installed.apply()
    foreign = installed.path(f"/{UNITS}/bluegreen-mine.service")
    foreign.write_text("[Service]\nExecStart=/bin/sleep infinity\n")
    for app in ("shop", "other"):
        slots = installed.path(f"/var/lib/bluegreen/apps/{app}/slots")
        (slots / "blue").symlink_to("/tmp")
        (slots.parent / "wanted/blue").write_text("v1\n")
        await installed.host.run("systemctl", "start", f"bluegreen-{app}-mailer@blue.service")
    await installed.host.run("systemctl", "start", "bluegreen-mine.service")
    installed.path("/etc/bluegreen/apps/other.toml").unlink()
    said = await installed.apply()
    assert "stop bluegreen-other-mailer@blue.service" in said.output
    assert not [path for path in _written(installed) if "other" in path]
    assert await installed.unit("bluegreen-other-mailer@blue.service", "ActiveState") == "inactive"
    assert await installed.unit("bluegreen-other-mailer@blue.service", "LoadState") == "not-found"
    assert "other" not in await installed.unit("bluegreen.target", "Wants")
    assert await installed.unit("bluegreen-shop-mailer@blue.service", "ActiveState") == "active"
    assert await installed.unit("bluegreen-mine.service", "ActiveState") == "active"
    assert foreign.exists()
    # Data is not for apply to remove.
    assert installed.path("/var/lib/bluegreen/apps/other/shared").is_dir()
    assert (await installed.apply()).output.splitlines() == [NOTHING, NO_DAEMON]


async def test_without_the_launchers_nothing_is_done(installed: Installed) -> None:
    launcher = installed.path("/opt/bluegreen/libexec/bluegreen-job")
    launcher.chmod(0o777)
    said = await installed.apply(check=False)
    assert said.status == 2
    assert "/opt/bluegreen/libexec/bluegreen-job" in said.output
    assert "Next: install bluegreen" in said.output
    assert _written(installed) == {}


async def test_it_is_for_root_and_for_the_host_itself(installed: Installed) -> None:
    said = await installed.apply("--root", "/srv/other", check=False)
    assert said.status == 2
    assert "apply is for the host itself" in said.output
    assert _written(installed) == {}
