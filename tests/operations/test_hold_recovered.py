"""What the next daemon makes of a hold whose records a full disk or a reboot has left behind."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import AsyncIterator

import pytest

from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of
from tests.operations.data import OPTIONS, leftovers
from tests.operations.killing import APP, Point, is_watched, kill_at
from tests.operations.migrations import applied, last, rewrite, schema, section, serve
from tests.operations.standstill import failing
from tests.operations.test_full_disk import WRITES, in_gate
from tests.operations.test_hold_deploys import alone, has_begun
from tests.operations.test_recovery import power_off
from tests.operations.writers import writing
from tests.stack import Stack, stack
from tests.visits import served_version
from tests.waiting import eventually

HELD = section(rehearse=False).replace('mode = "online"', 'mode = "hold"')


@pytest.fixture
async def shop() -> AsyncIterator[Stack]:
    """v2 serves, with data of its own; no other version has been there."""
    async with stack() as built:
        await serve(built, HELD)
        yield built


async def test_data_are_put_back_once_though_the_store_could_not_say_so(shop: Stack) -> None:
    wal = shop.layout.database.with_name("bluegreen.db-wal")
    # The gate lasts until the disk is full; then what serves is tried again until the hold is over.
    await rewrite(shop, f'{HELD}\n[hold]\nlimit = "20s"\n', deadline="6s")
    async with writing(shop, visitors=2) as writers:
        await writers.write_more()
        await ask(shop, "POST", f"{APP}/deployments", {"version": "v4-unhealthy"})
        await eventually(lambda: in_gate(shop), "the gate is asked")
        async with failing(shop, WRITES, "ENOSPC", wal):
            await eventually(
                lambda: "is not recorded yet" in shop.daemon_log.read_text(), "all is undone"
            )
            await writers.write_more()
            serving = {process.pid for process in shop.live_processes()}
            await shop.kill()
        await shop.serve()
        await agreement(shop)
        await writers.write_more()
    writers.expect_all_there(shop)
    assert serving <= {process.pid for process in shop.live_processes()}
    assert (await history_of(shop))[0]["state"] == "interrupted"
    assert await applied(shop) == []
    assert "notes" not in schema(shop)["servers"]
    assert not shop.layout.app("monitor").unwritten.exists()
    assert not leftovers(shop)


async def test_after_a_reboot_between_switch_and_release_the_new_version_serves(
    shop: Stack,
) -> None:
    point = Point(step="release intent", built=True, moved=True, ends=None)
    await kill_at(shop, point, f"{APP}/deployments", {"version": "v4-notes"})
    for gate in shop.gate_processes():
        os.kill(gate.pid, signal.SIGKILL)
    await power_off(shop)
    await shop.serve()
    status = await agreement(shop)
    assert (await history_of(shop))[0]["state"] == "succeeded"
    assert status["held"] is None
    assert await served_version(shop) == "v4-notes"


async def test_an_nginx_that_cannot_hold_is_seen_before_anything_is_built(
    empty: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_auth_request(empty, monkeypatch)
    empty.services = ("web", "api")
    alone(empty)
    await empty.serve()
    await empty.deploy("v1")  # nobody has to be held
    answer = await empty.cli("deploy", "v2")
    assert answer.status == 1
    assert "this nginx was built without auth_request" in answer.err
    assert has_begun(await last(empty)) == ["preflight"]


def hide_auth_request(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the daemon that is started from now on."""
    real, own = shutil.which("nginx"), stack.root / "bin/nginx"
    own.parent.mkdir()
    own.write_text(
        f"""#!/bin/sh
[ "$1" = -V ] || exec {real} "$@"
{real} -V 2>&1 | sed s/--with-http_auth_request_module// >&2
"""
    )
    own.chmod(0o755)
    monkeypatch.setenv("PATH", str(own.parent), prepend=os.pathsep)


@pytest.mark.parametrize("rebooted", [False, True], ids=["killed", "rebooted"])
async def test_a_first_release_that_is_watched_goes_on_without_a_hold(
    empty: Stack, *, rebooted: bool
) -> None:
    empty.services = ("web", "api")
    alone(empty, watch="60s")
    await empty.serve()
    await ask(empty, "POST", f"{APP}/deployments", {"version": "v1"})
    await eventually(lambda: is_watched(empty), "the release is watched")
    await (power_off(empty) if rebooted else empty.kill())
    alone(empty, watch="1s")
    await empty.serve()
    await agreement(empty)
    assert (await history_of(empty))[0]["state"] == "succeeded"
    assert "hold" not in has_begun(await last(empty))
    assert await served_version(empty) == "v1"


async def test_an_app_file_that_asks_for_more_asks_it_of_the_next_release(empty: Stack) -> None:
    empty.write_app(**OPTIONS | {"watch": "60s"})
    await empty.serve()
    await ask(empty, "POST", f"{APP}/deployments", {"version": "v2"})
    await eventually(lambda: is_watched(empty), "the release is watched")
    await empty.kill()
    empty.write_app(extra=section(), **OPTIONS | {"watch": "1s"})
    await empty.serve()
    await agreement(empty)
    operation = await last(empty)
    assert operation["state"] == "succeeded"
    assert not {"rehearse", "backup", "migrate"} & set(has_begun(operation))
    assert await served_version(empty) == "v2"


async def test_a_rollback_is_undone_as_it_has_begun(shop: Stack) -> None:
    await shop.deploy("v4-notes")
    point = Point(step="start intent", moved=False, ends=None)
    await kill_at(shop, point, f"{APP}/rollback", {"version": "v2"})
    shop.write_app(extra=section(rehearse=False), **OPTIONS)
    await shop.serve()
    await agreement(shop)
    assert (await history_of(shop))[0]["state"] == "interrupted"
    assert await served_version(shop) == "v4-notes"
    assert await applied(shop) == ["0001_audit_logs", "0002_notes"]
    assert "notes" in schema(shop)["servers"]
    await rewrite(shop, HELD)
