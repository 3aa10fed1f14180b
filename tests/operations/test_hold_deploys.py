"""Releases under a hold: requests are late, none fails, and every acknowledged write is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.demo.load import Load
from bluegreen.demo.load_settings import LoadSettings
from tests.operations.agreement import agreement
from tests.operations.asking import ask
from tests.operations.data import OPTIONS, leftovers, shared
from tests.operations.killing import APP, relapse
from tests.operations.migrations import (
    ALL,
    CHECK,
    RUN,
    applied,
    last,
    phase,
    rehearsals,
    rewrite,
    schema,
    section,
    serve,
)
from tests.operations.standstill import failing
from tests.operations.writers import Writers, writing
from tests.stack import Answer, Stack, stack
from tests.waiting import PATIENCE, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLD = section().replace('mode = "online"', 'mode = "hold"')
PHASES = ["hold", "drain", "backup", "migrate", "start", "gate", "switch", "release"]


def held(keys: str = ALL, *, rehearse: bool = True, limit: str = "60s") -> str:
    text = section(keys, rehearse=rehearse).replace('mode = "online"', 'mode = "hold"')
    return f'{text}\n[hold]\nlimit = "{limit}"\n'


@pytest_asyncio.fixture(loop_scope="module")
async def shop() -> AsyncIterator[Stack]:
    """v2 serves, with data of its own."""
    async with stack() as built:
        await serve(built, held())
        yield built


def has_begun(operation: Any) -> list[str]:
    return [one["phase"] for one in operation["phases"]]


async def failed(shop: Stack, version: str, writers: Writers, *, in_phase: str) -> Answer:
    """Of a deploy that fails under its hold: all is as it was, and nobody has noticed."""
    before = schema(shop)
    answer = await shop.cli("deploy", version)
    assert answer.status == 1, answer.out + answer.err
    operation = await last(shop)
    assert phase(operation, in_phase)["state"] in ("failed", "undone"), has_begun(operation)
    assert phase(operation, "hold")["state"] == "undone"
    assert shop.marker() == "blue"
    status = await agreement(shop)
    assert status["slots"]["blue"]["version"] == "v2"
    await writers.write_more()
    # Some apps make a table of their own as check looks.
    assert schema(shop) | {"schema_migrations": []} == before | {"schema_migrations": []}
    assert await applied(shop) == []
    assert not rehearsals(shop)
    assert not leftovers(shop)
    return answer


async def test_a_migration_that_the_old_version_cannot_live_with(shop: Stack) -> None:
    settings = LoadSettings(url=shop.url(), connections=8, websockets=0, downloads=2, timeout=60.0)
    async with Load(settings) as visitors, writing(shop) as writers:
        await visitors.ready()
        await shop.deploy("v4-rename")
        await writers.write_more()
        assert visitors.report().failures == ()
    writers.expect_all_there(shop)
    operation = await last(shop)
    begun = has_begun(operation)
    assert begun[begun.index("rehearse") + 1 :][: len(PHASES)] == PHASES
    assert await applied(shop) == ["0006_rename"]
    assert "host" in schema(shop)["servers"]
    status = await shop.status()
    assert (status["active"], status["slots"]["blue"]["state"]) == ("green", "cold")
    assert status["held"] is None
    assert not leftovers(shop)


async def test_without_pending_migrations_nobody_is_held(shop: Stack) -> None:
    await shop.deploy("v1")
    assert "hold" not in has_begun(await last(shop))
    assert (await shop.status())["slots"]["blue"]["state"] == "hot"


async def test_what_fails_on_the_data_is_put_back(shop: Stack) -> None:
    await rewrite(shop, held(rehearse=False))
    async with writing(shop) as writers:
        for version in ("v4-halfway", "v4-fatal", "v4-silent"):
            answer = await failed(shop, version, writers, in_phase="migrate")
            assert "the data of before are put back, from backup" in answer.out
    writers.expect_all_there(shop)


async def test_what_was_not_there_is_not_there_again(shop: Stack) -> None:
    """A directory that a migration has made before it failed."""
    makes = "run = 'mkdir {shared_dir}/made && touch {shared_dir}/made/one && exit 1'\n"
    named = 'sqlite = ["data/servers.db", "data/none.db"]\nfiles = ["made"]'
    text = held(CHECK + makes, rehearse=False)
    await rewrite(shop, text.replace('sqlite = ["data/servers.db"]', named))
    async with writing(shop) as writers:
        answer = await failed(shop, "v4-audit", writers, in_phase="migrate")
        assert "the data of before are put back, from backup" in answer.out
    assert not (shared(shop) / "made").exists()
    assert not leftovers(shop)
    writers.expect_all_there(shop)
    await rewrite(shop, held())


async def test_a_release_that_fails_its_gate_leaves_the_data_of_before(shop: Stack) -> None:
    await rewrite(shop, held(rehearse=False), deadline="3s")
    async with writing(shop) as writers:
        await failed(shop, "v4-unhealthy", writers, in_phase="gate")
    writers.expect_all_there(shop)


async def test_nobody_waits_for_a_store_that_has_no_room(shop: Stack) -> None:
    await rewrite(shop, held(rehearse=False, limit="1h"), deadline="120s")
    wal = shop.layout.database.with_name("bluegreen.db-wal")
    async with writing(shop) as writers:
        await ask(shop, "POST", f"{APP}/deployments", {"version": "v4-unhealthy"})
        await eventually(lambda: is_in(shop, "gate"), "the new version is asked")
        async with failing(shop, "pwrite64", "ENOSPC", wal):
            cancelling = asyncio.create_task(ask(shop, "POST", f"{APP}/cancel", {}), name="cancel")
            await eventually(lambda: is_served(shop), "v2 serves, and nobody waits")
            await writers.write_more()
            assert "is not recorded: the store" in shop.daemon_log.read_text()
        await cancelling
    writers.expect_all_there(shop)
    status = await agreement(shop)
    assert (status["active"], status["slots"]["blue"]["state"]) == ("blue", "hot")
    assert (await last(shop))["state"] == "cancelled"
    assert await applied(shop) == []


async def is_served(shop: Stack) -> bool:
    status = await shop.status()
    return status["held"] is None and status["slots"]["blue"]["ready"]


async def test_what_a_failed_migration_has_made_goes_with_it(shop: Stack) -> None:
    """Where the app file names it: elsewhere nobody knows whose a file is."""
    named = held(rehearse=False).replace("keep = 3", 'files = ["data/made", "data/kept"]\nkeep = 3')
    (shared(shop) / "data/kept").write_text("before")
    text = "mkdir data/made; touch data/made/file; echo after >data/kept; exit 3"
    await rewrite(shop, named.replace(RUN, f"run = '{text}'\n"))
    async with writing(shop) as writers:
        answer = await failed(shop, "v4-audit", writers, in_phase="migrate")
    assert "not there, and so not in the backup: data/made\n" in answer.out
    assert not (shared(shop) / "data/made").exists()
    assert (shared(shop) / "data/kept").read_text() == "before"


async def test_nobody_waits_for_what_would_fail_under_the_hold(shop: Stack) -> None:
    await rewrite(shop, held(rehearse=False).replace("data/servers.db", "data/server.db"))
    async with writing(shop) as writers:
        answer = await failed(shop, "v4-audit", writers, in_phase="hold")
        assert "nothing of what [backup] names is there" in answer.err
        unanswered = "[[gate.unchanged]]\ncommand = 'test ! -e MIGRATIONS'\n"
        await rewrite(shop, held(rehearse=False) + unanswered)
        answer = await failed(shop, "v4-audit", writers, in_phase="hold")
        assert "command: exit status 1" in answer.err
        assert "requests wait from now on" not in answer.out
    await rewrite(shop, held(rehearse=False))


async def is_in(shop: Stack, phase: str) -> bool:
    operation = (await shop.status())["operation"]
    return operation is not None and operation["phase"] == phase


async def test_at_the_time_limit_it_is_undone(shop: Stack) -> None:
    await rewrite(shop, held(rehearse=False, limit="20s"), env={"MONITOR_MIGRATION_SECONDS": "60"})
    async with writing(shop) as writers:
        failing = asyncio.create_task(
            failed(shop, "v4-slow", writers, in_phase="migrate"), name="one that is too slow"
        )
        await eventually(lambda: is_in(shop, "migrate"), "both versions are stopped")
        said = (await shop.cli("status")).out
        assert "  * blue   v2" in said
        assert "active  stopped while requests wait\n" in said
        assert "HEALTHY" not in said
        answer = await failing
        assert "its requests had waited for 13.3 s in the migrate phase" in answer.err
    writers.expect_all_there(shop)
    assert max(writers.waits) < 60


async def test_what_migrates_as_it_starts_is_known_by_name(shop: Stack) -> None:
    await rewrite(shop, held(CHECK), env={"MONITOR_MIGRATES_AT_START": "1"})
    async with writing(shop) as writers:
        await shop.deploy("v4-audit")
        await writers.write_more()
    writers.expect_all_there(shop)
    operation = await last(shop)
    assert "hold" in has_begun(operation)
    assert phase(operation, "gate")["data"]["applied"] == ["0001_audit_logs"]
    assert await applied(shop) == ["0001_audit_logs"]
    said = (await shop.status())["switch_back"]
    assert (said["how"], said["backup"]) == ("restore", operation["id"])
    assert said["migrations"] == ["0001_audit_logs"]
    planned = (await shop.cli("plan", "v2")).out  # nothing could undo it by name
    assert "0001_audit_logs came after v2" in planned
    assert f"bluegreen rollback monitor --restore {operation['id']}" in planned


async def test_without_names_the_way_back_is_the_backup(shop: Stack) -> None:
    await rewrite(shop, held(RUN))
    async with writing(shop) as writers:
        await shop.deploy("v4-notes")
        await writers.write_more()
        operation = await last(shop)
        assert "hold" in has_begun(operation)
        said = (await shop.status())["switch_back"]
        assert (said["how"], said["backup"]) == ("restore", operation["id"])
        for command in (("switch", "back"), ("rollback", "--to", "v2")):
            answer = await shop.cli(*command)
            assert answer.status != 0
            assert "what v4-notes has changed" in answer.err
            assert f"bluegreen rollback monitor --restore {operation['id']}" in answer.err
        await writers.write_more()
    writers.expect_all_there(shop)


async def test_without_names_a_release_that_changes_nothing_leaves_the_way_back(
    shop: Stack,
) -> None:
    await rewrite(shop, held(RUN))
    for version in ("v1", "v2"):  # the first makes a table for what is to come
        await shop.deploy(version)
    assert "hold" in has_begun(await last(shop))
    assert (await shop.status())["switch_back"]["how"] == "start"
    answer = await shop.cli("switch", "back")
    assert answer.status == 0, answer.err


async def test_two_versions_never_run_at_once(shop: Stack) -> None:
    alone(shop)
    await shop.reload()
    async with writing(shop) as writers:
        await shop.deploy("v1")
        await expect_alone(shop, "v1", writers)
        for command in (("switch", "back"), ("restart",), ("switch", "back")):
            answer = await shop.cli(*command)
            assert answer.status == 0, answer.out + answer.err
            await expect_alone(shop, "v2", writers)
        alone(shop, deadline="3s")
        await shop.reload()
        answer = await shop.cli("deploy", "v3-unhealthy")
        assert answer.status == 1
        await expect_alone(shop, "v2", writers)
        alone(shop, watch="60s")
        await shop.reload()
        answer = await relapse(shop, "v1", service="web")
        assert answer.status == 5, answer.out + answer.err
        await expect_alone(shop, "v2", writers)
    writers.expect_all_there(shop)
    assert (shared(shop) / "data/alone").exists()
    assert not (shared(shop) / "data/overlaps").exists()


def alone(shop: Stack, **options: Any) -> None:
    """Write an app file that says that two versions never run at once."""
    env = {"MONITOR_ALONE": "1"} | options.pop("env", {})
    file = shop.write_app(**OPTIONS | {"env": env} | options)
    file.write_text(file.read_text().replace("[app]\n", "[app]\noverlap = false\n"))


async def expect_alone(shop: Stack, version: str, writers: Writers) -> None:
    await writers.write_more()
    status = await agreement(shop)
    active = status["active"]
    assert status["slots"][active]["version"] == version
    if status["switch_back"]["how"] == "start":
        assert status["switch_back"]["says"].endswith("requests wait")
    other = status["slots"]["green" if active == "blue" else "blue"]
    assert other["state"] == "cold"
    assert {one["state"] for one in other["services"].values()} == {"stopped"}


async def test_an_upload_that_began_before_the_hold_goes_to_the_new_version(shop: Stack) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", shop.listen["monitor"])
    writer.write(b"POST /api/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n")
    await writer.drain()
    await shop.deploy("v4-rename")
    writer.write(b'{"n": 7}')
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE)
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert b"v4-rename" in await reader.read(4096)
    writer.close()


async def test_the_way_back_undoes_the_migrations_under_a_hold(shop: Stack) -> None:
    before = schema(shop)
    async with writing(shop) as writers:
        await shop.deploy("v4-rename")
        await writers.write_more()
        said = (await shop.status())["switch_back"]
        assert (said["how"], said["migrations"]) == ("reverse", ["0006_rename"])
        for command in ("plan", "deploy"):  # its own check would call this schema clean
            answer = await shop.cli(command, "v2")
            assert answer.status == 1, answer.out
            assert "0006_rename came after v2" in answer.out + answer.err
            assert "bluegreen rollback monitor --to v2" in answer.out + answer.err
        assert (await shop.cli("lock", "monitor", "--reason", "no releases today")).status == 0
        answer = await shop.cli("switch", "back")
        assert answer.status == 0, answer.err
        await expect_alone(shop, "v2", writers)
    writers.expect_all_there(shop)
    assert await applied(shop) == []
    assert schema(shop)["servers"] == before["servers"]
    begun = has_begun(await last(shop))
    assert begun[begun.index("hold") :][:5] == ["hold", "drain", "backup", "reverse", "start"]


async def test_a_way_back_that_fails_is_put_back(shop: Stack) -> None:
    await shop.deploy("v4-rename")
    made = (await last(shop))["id"]
    await rewrite(shop, held(CHECK + RUN + "rollback = 'exit 1 # {name}'\n"))
    async with writing(shop) as writers:
        answer = await shop.cli("switch", "back")
        assert answer.status != 0
        assert f"bluegreen rollback monitor --restore {made}" in answer.err
        await expect_alone(shop, "v4-rename", writers)
    writers.expect_all_there(shop)
    assert await applied(shop) == ["0006_rename"]
    assert "host" in schema(shop)["servers"]
