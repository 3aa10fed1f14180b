"""What serves is left alone: by an undo, by a lost store, by settings that have changed."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from tests.operations.asking import ask, status_of
from tests.operations.killing import APP, relapse
from tests.operations.test_cancel import in_phase
from tests.stack import Stack
from tests.store.damage import damage, make_large
from tests.visits import served_version
from tests.waiting import eventually

API = ("api",)
NOT_FOUND = """
[[gate.probes]]
service = "api"
http = { path = "/nothing" }
"""


async def watch_for_long(stack: Stack, services: tuple[str, ...] = API) -> None:
    """The releases to come."""
    stack.write_app(services=services, watch="60s")
    await stack.reload()


async def api_pid(stack: Stack, slot: str) -> Any:
    return (await stack.status())["slots"][slot]["services"]["api"]["pid"]


async def test_a_rollback_that_a_switch_back_overtakes_does_not_stop_what_serves(
    empty: Stack,
) -> None:
    empty.write_app(services=API, watch="0.1s", healthy_for="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    empty.write_app(services=API, watch="0.1s", healthy_for="12s")
    await empty.reload()
    rolling_back = asyncio.create_task(empty.cli("rollback", "monitor"))
    await in_phase(empty, "gate")
    answer = await empty.cli("switch", "back")
    assert answer.status == 0, answer.err
    assert (await rolling_back).status == 1
    assert await served_version(empty) == "v1"
    assert (await empty.status())["slots"][empty.marker()]["services"]["api"]["state"] == "running"


async def test_a_cancel_while_a_release_is_undone_waits_for_its_end(empty: Stack) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    empty.write_app(services=API, watch="0.1s", deadline="2s", extra=NOT_FOUND)
    await empty.reload()
    deploying = asyncio.create_task(empty.cli("deploy", "monitor", "v3-slow-stop"))

    async def undoing() -> bool:
        operation = (await status_of(empty))["operation"]
        return operation is not None and operation["undoing"]

    await eventually(undoing, "the deploy is undone")
    status, answer = await ask(empty, "POST", f"{APP}/cancel", {})  # its api ends in four seconds
    assert status == 200, answer
    assert (await empty.operations())[0]["state"] == "failed"
    assert (await status_of(empty))["operation"] is None
    assert (await deploying).status == 1


async def test_a_corrupt_store_is_put_aside_and_the_app_serves_on(empty: Stack) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    pid = await api_pid(empty, empty.marker())
    await empty.kill()
    for path in empty.layout.database.parent.glob("bluegreen.db*"):
        path.write_bytes(b"garbage" * 2000)
    for _ in range(2):  # the second start finds a sound store, and must not end what runs either
        await empty.serve()
        status = await empty.status()
        assert status["slots"][empty.marker()]["version"] == "v1"
        assert await api_pid(empty, empty.marker()) == pid
        await empty.kill()
    await empty.serve()
    assert list(empty.layout.state.glob("bluegreen.db.corrupt-*"))
    await empty.deploy("v2")
    assert (await empty.cli("switch", "back")).status == 0
    assert await served_version(empty) == "v1"


@pytest.mark.parametrize("table", ["slots", "operation_states"])
async def test_a_large_store_damaged_where_a_start_reads_is_put_aside(
    empty: Stack, table: str
) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    pid = await api_pid(empty, empty.marker())
    await empty.kill()
    make_large(empty.layout.database)
    damage(empty.layout.database, table)
    await empty.serve()
    assert list(empty.layout.state.glob("bluegreen.db.corrupt-*"))
    assert (await empty.status())["slots"][empty.marker()]["version"] == "v1"
    assert await api_pid(empty, empty.marker()) == pid
    (warning,) = (await empty.cli("status", "--json")).document["warnings"]
    assert "is damaged and was put aside" in warning


async def test_a_lost_history_is_said_until_a_reload_and_the_idle_slot_runs_on(
    empty: Stack,
) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    await empty.deploy("v2")
    idle = "blue" if empty.marker() == "green" else "green"
    pid = await api_pid(empty, idle)
    for what in ("damaged", "gone"):
        await empty.kill()
        for path in empty.layout.database.parent.glob("bluegreen.db*"):
            path.write_bytes(b"garbage" * 2000) if what == "damaged" else path.unlink()
        await empty.serve()
        await empty.kill()
        await empty.serve()
        for arguments in (["status"], ["status", "monitor"]):
            assert f"{what} " in (await empty.cli(*arguments)).out.splitlines()[0]
        (warning,) = (await empty.cli("status", "--json")).document["warnings"]
        assert f"bluegreen --root {empty.root} reload" in warning
        assert await api_pid(empty, idle) == pid

        async def ready() -> bool:
            return bool((await empty.status())["slots"][idle]["ready"])

        await eventually(ready, "the idle slot has passed its probes again")
        await empty.reload()
        assert (await empty.cli("status", "--json")).document["warnings"] == []
    assert (await empty.cli("switch", "back")).status == 0
    assert await served_version(empty) == "v1"


async def test_changed_settings_restart_nothing_when_the_daemon_is_restarted(
    empty: Stack,
) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    pid = await api_pid(empty, empty.marker())
    empty.write_app(services=API, watch="0.1s", env={"NEW": "1"})
    await empty.reload()
    await empty.kill()
    await empty.serve()
    assert await api_pid(empty, empty.marker()) == pid


async def test_a_secret_that_is_gone_ends_nothing_when_the_daemon_is_restarted(
    empty: Stack,
) -> None:
    secret = empty.root / "secret"
    secret.write_text("x")
    path = empty.write_app(services=API, watch="0.1s")
    path.write_text(path.read_text().replace("[env]\n", f'[env]\nS = {{ file = "{secret}" }}\n', 1))
    await empty.serve()
    await empty.deploy("v1")
    pid = await api_pid(empty, empty.marker())
    await empty.kill()
    secret.unlink()
    await empty.serve()
    assert await api_pid(empty, empty.marker()) == pid
    assert await served_version(empty) == "v1"


async def test_a_slot_that_once_restarted_is_a_way_back_all_the_same(empty: Stack) -> None:
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    await watch_for_long(empty)
    old = empty.marker()
    killed = await api_pid(empty, old)
    os.kill(killed, signal.SIGKILL)

    async def healthy_again() -> bool:
        slot = (await empty.status())["slots"][old]
        return bool(
            slot["services"]["api"]["pid"] not in (None, killed)
            and slot["health"]
            and slot["health"]["healthy"]
        )

    await eventually(healthy_again, "the API was restarted and is healthy")
    answer = await relapse(empty, "v2")
    assert answer.status == 5, answer.out + answer.err
    assert empty.marker() == old


async def test_a_service_that_was_added_does_not_close_the_way_back(empty: Stack) -> None:
    empty.write_app(services=("api", "web"))  # takes ports for both
    empty.write_app(services=API, watch="0.1s")
    await empty.serve()
    await empty.deploy("v1")
    old = empty.marker()
    await watch_for_long(empty, services=("api", "web"))
    answer = await relapse(empty, "v2")
    assert answer.status == 5, answer.out + answer.err
    assert empty.marker() == old


async def test_a_first_release_that_falls_ill_says_that_it_serves(empty: Stack) -> None:
    empty.write_app(services=API, watch="60s")
    await empty.serve()
    answer = await relapse(empty, "v1")
    assert answer.status == 1
    assert "there was no way back" in answer.err


async def test_rollbacks_go_further_back_each_time(empty: Stack) -> None:
    empty.write_app(services=API, watch="0.1s", healthy_for="0.1s")
    await empty.serve()
    for version in ("v1", "v2", "v3-slow-stop"):
        await empty.deploy(version)
    for version in ("v2", "v1"):
        answer = await empty.cli("rollback", "monitor")
        assert answer.status == 0, answer.err
        assert await served_version(empty) == version
    answer = await empty.cli("rollback", "monitor")
    assert answer.status == 1
    assert "no release before v1" in answer.err
