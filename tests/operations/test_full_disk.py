"""A full disk: nothing is half done, and what serves can still be switched back."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.operations.agreement import agreement
from tests.operations.asking import ask, history_of, status_of
from tests.operations.killing import APP
from tests.operations.standstill import failing
from tests.stack import Stack
from tests.visits import served_version
from tests.waiting import eventually

WRITES = "pwrite64"


@pytest.fixture
async def twice(deployed: Stack) -> Stack:
    """v2 serves, v1 is hot."""
    await deployed.deploy("v2")
    await agreement(deployed)
    return deployed


async def test_with_no_room_for_the_store_a_switch_back_works_and_is_recorded_later(
    twice: Stack,
) -> None:
    wal = twice.layout.database.with_name("bluegreen.db-wal")
    async with failing(twice, WRITES, "ENOSPC", wal):
        refused = await twice.cli("deploy", "monitor", "v1")
        assert refused.status == 1, refused.out + refused.err
        assert "cannot record" in refused.err
        assert "Next:" in refused.err
        assert (await twice.cli("status")).status == 0
        back = await twice.cli("switch", "back")
        assert back.status == 0, back.out + back.err
        assert await served_version(twice) == "v1"
        assert len(await history_of(twice)) == 2
    await eventually(lambda: has_history_of(twice, 3), "the switch is in the history")
    await agreement(twice)
    newest = (await history_of(twice))[0]
    assert (newest["kind"], newest["state"]) == ("switch", "succeeded")
    await twice.deploy("v2")


async def test_a_marker_that_is_renamed_and_not_flushed_has_moved_the_traffic(
    twice: Stack,
) -> None:
    warning = "the traffic has moved, but the disk did not take that for good (Input/output error)"
    async with failing(twice, "fsync", "EIO", twice.layout.app("monitor").traffic):
        back = await twice.cli("switch", "back")
        assert back.status == 0, back.out + back.err
        assert warning in back.out
        assert await served_version(twice) == "v1"
        deployed = await twice.deploy("v2")
        assert warning in deployed.out
        assert await served_version(twice) == "v2"
        assert (await twice.cli("stop")).status == 0
        assert (await twice.status())["closed"] is True
        assert (await twice.cli("start")).status == 0
    await agreement(twice)
    assert [each["state"] for each in await history_of(twice)][:4] == ["succeeded"] * 4
    assert await served_version(twice) == "v2"


async def has_history_of(stack: Stack, count: int) -> bool:
    newest, *older = await history_of(stack)
    return len(older) + 1 == count and newest["finished_at"] is not None


async def test_what_a_full_store_kept_out_of_the_history_is_in_it_once_there_is_room(
    twice: Stack,
) -> None:
    twice.write_app(watch="0s", deadline="60s")
    await twice.reload()
    wal = twice.layout.database.with_name("bluegreen.db-wal")
    _, begun = await ask(twice, "POST", f"{APP}/deployments", {"version": "v3-unhealthy"})
    await eventually(lambda: in_gate(twice), "the gate is asked")
    async with failing(twice, WRITES, "ENOSPC", wal):
        cancelling = asyncio.create_task(ask(twice, "POST", f"{APP}/cancel", {}), name="cancel")
        await eventually(
            lambda: "is not recorded yet" in twice.daemon_log.read_text(), "all is undone"
        )
        assert await served_version(twice) == "v2"
        assert (await status_of(twice))["operation"]["id"] == begun["id"]
    status, told = await cancelling
    assert (status, told["kind"]) == (409, "busy")
    assert "free some space" in told["remedy"]
    await agreement(twice)
    assert (await history_of(twice))[0]["state"] == "cancelled"
    assert await served_version(twice) == "v2"


async def test_a_refused_release_is_not_kept_hot_though_the_store_cannot_say_so(
    twice: Stack,
) -> None:
    twice.write_app(watch="0s", healthy_for="20s", deadline="60s")
    await twice.reload()
    wal = twice.layout.database.with_name("bluegreen.db-wal")
    await ask(twice, "POST", f"{APP}/deployments", {"version": "v3-rewrites-title"})
    await eventually(lambda: in_gate(twice), "the gate is asked")
    await eventually(lambda: slot_runs(twice, "blue"), "the release is well, and would pass")
    async with failing(twice, WRITES, "ENOSPC", wal):
        cancelling = asyncio.create_task(ask(twice, "POST", f"{APP}/cancel", {}), name="cancel")
        await eventually(
            lambda: "is not recorded yet" in twice.daemon_log.read_text(), "all is undone"
        )
    status, told = await cancelling
    assert (status, told["kind"]) == (409, "busy")
    assert "free some space" in told["remedy"]
    shown = await agreement(twice)
    assert shown["slots"]["blue"]["version"] == "v1"
    await eventually(lambda: is_ready(twice, "blue"), "v1 is hot again")
    assert (await status_of(twice))["slots"]["blue"]["version"] == "v1"


async def slot_runs(stack: Stack, slot: str) -> bool:
    services = (await status_of(stack))["slots"][slot]["services"]
    return all(service["state"] == "running" for service in services.values())


async def is_ready(stack: Stack, slot: str) -> bool:
    return bool((await status_of(stack))["slots"][slot]["ready"])


async def in_gate(stack: Stack) -> bool:
    operation = (await status_of(stack))["operation"]
    return operation is not None and operation["phase"] == "gate"


async def test_a_disk_that_is_full_as_a_tree_is_stamped_fails_the_deploy_cleanly(
    twice: Stack,
) -> None:
    async with failing(twice, "fsync", "ENOSPC", twice.layout.app("monitor").trees):
        answer = await twice.cli("deploy", "monitor", "v1")
    assert answer.status == 1, answer.out + answer.err
    assert "No space left" in answer.err
    assert "free some space" in answer.err
    status = await agreement(twice)
    assert status["switch_back"]["how"] == "instant"
    assert await served_version(twice) == "v2"
    await twice.deploy("v1")


async def test_a_release_that_will_not_fit_is_refused_with_the_bytes_it_needs(
    twice: Stack,
) -> None:
    stamp = next(twice.layout.app("monitor").trees.glob("*.json"))
    info = json.loads(stamp.read_text())
    stamp.write_text(json.dumps({**info, "bytes": 2**60}))
    answer = await twice.cli("deploy", "monitor", "v1")
    assert answer.status == 1
    assert f"needs about {2**40} MiB" in answer.err
    assert "nothing was changed" in answer.err
    assert (await twice.status())["switch_back"]["how"] == "instant"
