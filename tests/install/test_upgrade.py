"""bluegreen brought to a newer version of itself while it serves."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bluegreen import __version__
from tests.install.prepared import NEWER, NEWER_SOURCE, Installed, Prepared
from tests.production.production import APP
from tests.waiting import end_tasks, eventually

GO = "/var/lib/bluegreen/apps/monitor/shared/go"
# A build that ends when the test says so, but for the first version.
WAITING_BUILD = f"""
[[build]]
name = "wait"
run = "[ $(cat VERSION) = v1 ] || until [ -e {GO} ]; do sleep 0.05; done"
"""
STORE = "/var/lib/bluegreen/bluegreen.db"
# What a newer version may do to the store, as it starts.
MIGRATE = f"import sqlite3; sqlite3.connect('{STORE}').execute('PRAGMA user_version = 99')"
REMOVE = f"import pathlib; pathlib.Path('{STORE}').unlink(missing_ok=True)"
# There while an upgrade is taken back.
GOING_BACK = "/opt/bluegreen/going-back"


def change_newer(
    installed: Installed, prepared: Prepared, name: str, before: str, after: str
) -> None:
    """In the newer version's file ``name``, ``before`` is ``after``."""
    tree = installed.path(f"/opt/bluegreen/versions/{prepared.newer}")
    (file,) = tree.glob(f"lib/python3*/site-packages/bluegreen/{name}")
    text = file.read_text()
    file.unlink()
    assert before in text
    file.write_text(text.replace(before, after, 1))


def break_daemon(installed: Installed, prepared: Prepared, code: str) -> None:
    """The newer version's daemon runs ``code`` as it starts."""
    first = "    daemon_log.configure"
    change_newer(installed, prepared, "cli/serve.py", first, f"    {code}\n{first}")


@pytest.fixture
async def upgradable(installed: Installed, prepared: Prepared) -> Installed:
    await installed.have_newer_made(prepared)
    return installed


async def test_commands_wait_while_the_daemon_is_replaced(upgradable: Installed) -> None:
    statuses: list[int] = []

    async def ask() -> None:
        while True:
            said = await upgradable.command("status", check=False)
            statuses.append(said.status)

    asking = asyncio.create_task(ask(), name="ask for the status")
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)
    answering = await upgradable.answering()
    await end_tasks([asking])

    assert f"bluegreen is version {NEWER} now" in said.output
    assert "was restarted, and is ready" in said.output
    assert answering == NEWER
    assert len(statuses) > 1
    assert set(statuses) == {0}
    again = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)
    assert "install: everything is in place" in again.output


async def test_one_that_crashes_at_its_start_is_taken_back(
    upgradable: Installed, prepared: Prepared
) -> None:
    before = upgradable.path("/usr/local/share/man/man1/bluegreen.1").read_text()
    break_daemon(upgradable, prepared, "raise RuntimeError('not a good version')")
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE, check=False)

    assert said.status == 5
    assert "RuntimeError: not a good version" in said.output
    assert f"version {__version__}, the previous one, serves again" in said.output
    assert await upgradable.answering() == __version__
    assert (await upgradable.command("--version")).output == f"bluegreen {__version__}\n"
    assert upgradable.path("/usr/local/share/man/man1/bluegreen.1").read_text() == before


async def test_one_that_is_never_ready_is_taken_back(
    upgradable: Installed, prepared: Prepared
) -> None:
    break_daemon(upgradable, prepared, "import time; time.sleep(600)")
    # Its own unit, so that the previous one may take its time.
    unit, limit = "_shipped/systemd/bluegreen.service", "TimeoutStartSec="
    change_newer(upgradable, prepared, unit, f"{limit}90s", f"{limit}1s")
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE, check=False)

    assert said.status == 5, said.output
    assert f"the daemon of version {NEWER} did not come up" in said.output
    assert f"version {__version__}, the previous one, serves again" in said.output
    assert await upgradable.answering() == __version__


@pytest.mark.parametrize("code", [MIGRATE, REMOVE], ids=["migrated", "removed"])
async def test_the_store_too_goes_back_when_the_newer_version_has_changed_it(
    upgradable: Installed, prepared: Prepared, code: str
) -> None:
    await upgradable.serve_the_sample_app()
    break_daemon(upgradable, prepared, f"{code}; exit(1)")
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE, check=False)

    assert said.status == 5, said.output
    assert await upgradable.answering() == __version__
    assert (await upgradable.seen())["slots"]["blue"]["version"] == "v1"
    assert "v1" in (await upgradable.command("history")).output
    kept = [path.name for path in upgradable.path("/var/lib/bluegreen").iterdir()]
    assert f"{Path(STORE).name}.before-upgrade" not in kept
    assert not upgradable.path(GOING_BACK).exists()
    assert await upgradable.unit("bluegreen.socket", "ActiveState") == "active"


async def test_without_a_copy_of_the_store_the_previous_version_is_the_one_that_counts(
    upgradable: Installed,
) -> None:
    in_the_way = upgradable.path(f"{STORE}.before-upgrade.new")
    in_the_way.mkdir()
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE, check=False)
    assert said.status == 1
    assert "the copy of the store" in said.output
    await upgradable.host.run("systemctl", "restart", "bluegreen.service")
    assert await upgradable.answering() == __version__

    in_the_way.rmdir()
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)
    assert "was restarted, and is ready" in said.output
    assert await upgradable.answering() == NEWER


async def test_a_kill_while_it_goes_back_is_no_wish_to_have_it_stopped(
    upgradable: Installed, prepared: Prepared
) -> None:
    """Killed with the daemon stopped, and done again: with the version that was gone back to."""
    await upgradable.serve_the_sample_app()
    break_daemon(upgradable, prepared, f"{MIGRATE}; exit(1)")
    await upgradable.host.run(
        "systemd-run", "--unit=upgrade", "--collect", f"{NEWER_SOURCE}/deploy/install", "--upgrade"
    )
    # In one shell: it must not have gone back by the time at which it is killed.
    kill = "systemctl kill --signal=KILL upgrade.service"
    await upgradable.host.run(
        "sh", "-ec", f"until [ -e {GOING_BACK} ]; do sleep 0.02; done; {kill}", timeout=100.0
    )
    await upgradable.host.run("systemctl", "stop", "bluegreen.socket", "bluegreen.service")

    said = await upgradable.run_installer()
    assert "was restarted, and is ready" in said.output
    assert await upgradable.answering() == __version__
    assert "v1" in (await upgradable.command("history")).output
    assert await upgradable.unit("bluegreen.socket", "ActiveState") == "active"
    assert not upgradable.path(GOING_BACK).exists()


async def test_a_store_that_cannot_be_put_back_at_first_is_not_lost(
    upgradable: Installed, prepared: Prepared
) -> None:
    await upgradable.serve_the_sample_app()
    break_daemon(upgradable, prepared, f"{REMOVE}; pathlib.Path('{STORE}').mkdir(); exit(1)")
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE, check=False)
    assert said.status == 1
    assert f"going back to version {__version__} failed too: the copy of the store" in said.output
    await eventually(lambda: _is_tried_again(upgradable), "it is not left stopped")

    assert "Next: the apps serve on; systemctl stop bluegreen.socket bluegreen.service" in (
        said.output
    )
    await upgradable.host.run("systemctl", "stop", "bluegreen.socket", "bluegreen.service")
    upgradable.path(STORE).rmdir()
    said = await upgradable.run_installer()
    assert "was restarted, and is ready" in said.output
    assert await upgradable.answering() == __version__
    assert "v1" in (await upgradable.command("history")).output


async def test_one_that_an_administrator_has_stopped_stays_so(upgradable: Installed) -> None:
    await upgradable.host.run(
        "systemctl", "disable", "--now", "bluegreen.service", "bluegreen.socket"
    )
    said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)

    assert f"bluegreen is version {NEWER} now" in said.output
    assert await upgradable.unit("bluegreen.service", "ActiveState") == "inactive"
    assert await upgradable.unit("bluegreen.service", "UnitFileState") == "disabled"


async def test_a_deploy_that_runs_is_resumed_and_nobody_notices(upgradable: Installed) -> None:
    """Before the switch the release is undone; the newer version brings it out all the same."""
    await upgradable.serve_the_sample_app(extra=WAITING_BUILD)
    async with upgradable.load() as load:
        await load.ready()
        await upgradable.command("deploy", APP, "v2", "--detach")
        await eventually(lambda: _phase(upgradable, "build"), "it builds")
        said = await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)
        assert f"the deploy of {APP} v2 was interrupted, and is resumed as operation" in said.output
        assert await upgradable.answering() == NEWER
        resumed, before = (await upgradable.document("history", "--limit=2"))["operations"]
        assert (before["state"], resumed["state"]) == ("interrupted", "running")
        assert await upgradable.served() == "v1"
        upgradable.path(GO).touch()
        await eventually(lambda: _is_served(upgradable, "v2"), "the release goes out")
        report = await load.stop()
    assert report.failures == ()
    assert (report.failed, report.websockets_cut, report.downloads_broken) == (0, 0, 0)


async def test_a_watch_goes_on_in_the_newer_version(upgradable: Installed) -> None:
    await upgradable.serve_the_sample_app()
    upgradable.write_app(watch="60s")  # by far longer than an upgrade, also on a busy machine
    await upgradable.command("apply")
    await upgradable.command("deploy", APP, "v2", "--detach")
    await eventually(lambda: _phase(upgradable, "watch"), "it watches")
    await upgradable.run_installer("--upgrade", source=NEWER_SOURCE)
    assert await _phase(upgradable, "watch")

    async def over() -> bool:
        latest = (await upgradable.document("history", "--limit=1"))["operations"][0]
        return bool(latest["state"] == "succeeded")

    await eventually(over, "the watch ended well", within=120)
    assert await upgradable.served() == "v2"


async def _is_tried_again(installed: Installed) -> bool:
    return await installed.unit("bluegreen.service", "ActiveState") == "activating"


async def _is_served(installed: Installed, version: str) -> bool:
    return bool(await installed.served() == version)


async def _phase(installed: Installed, wanted: str) -> bool:
    operation = (await installed.seen())["operation"]
    return operation is not None and operation["phase"] == wanted
