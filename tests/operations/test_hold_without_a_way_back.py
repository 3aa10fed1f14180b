"""Undoings under a hold that do not come to their end: what is said, and what is done then."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import DataError
from bluegreen.model import Slot
from bluegreen.operations import putting_back
from bluegreen.operations.phases import hold
from bluegreen.operations.putting_back import put_back
from bluegreen.operations.run import Interruption, Run
from tests.operations.agreement import agreement
from tests.operations.asking import ask, status_of
from tests.operations.data import backups, servers
from tests.operations.killing import APP
from tests.operations.migrations import applied, last, phase, rewrite, schema, serve
from tests.operations.test_full_disk import in_gate
from tests.operations.test_hold_recovered import HELD
from tests.operations.told import run
from tests.operations.writers import writing
from tests.stack import Stack, stack
from tests.visits import served_version, visit
from tests.waiting import eventually

__all__ = ["run"]


@pytest.fixture
async def shop() -> AsyncIterator[Stack]:
    async with stack() as built:
        await serve(built, HELD)
        yield built


@pytest.mark.parametrize("error", [KeyError("x"), TimeoutError(), DataError("no", remedy="do")])
async def test_data_count_as_changed_until_they_are_put_back(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: Any) -> None:
        raise error

    run.migrating.backup = 7
    monkeypatch.setattr(putting_back, "_restore", fail)
    with pytest.raises(type(error)):
        await put_back(run)
    assert run.migrating.unrestored
    assert run.migrating.left[0].startswith("the data of before are not put back")
    assert "bluegreen backup restore a 7" in (run.migrating.remedy or "")
    monkeypatch.undo()

    async def succeed(*_: Any) -> None:
        pass

    monkeypatch.setattr(putting_back, "_restore", succeed)
    await put_back(run)
    assert not run.migrating.unrestored
    assert (run.migrating.left, run.migrating.remedy) == ((), None)


async def deploying(shop: Stack, version: str) -> int:
    """The number of a deploy that has made its backup, and will not pass its gate."""
    _, begun = await ask(shop, "POST", f"{APP}/deployments", {"version": version})
    await eventually(lambda: is_past_its_backup(shop), "what served has stopped, and is backed up")
    number: int = begun["id"]
    return number


async def is_past_its_backup(shop: Stack) -> bool:
    operation = (await status_of(shop))["operation"]
    return operation is not None and operation["phase"] in ("migrate", "start", "gate")


async def is_over(shop: Stack) -> bool:
    return (await status_of(shop))["operation"] is None


async def expect_stopped(shop: Stack) -> None:
    slots = (await status_of(shop))["slots"].values()
    assert {one["state"] for slot in slots for one in slot["services"].values()} == {"stopped"}


async def test_a_backup_that_cannot_be_put_back_leaves_it_out_of_service_and_says_how_on(
    shop: Stack,
) -> None:
    await rewrite(shop, HELD, deadline="3s")
    number = await deploying(shop, "v4-unhealthy")
    copy = backups(shop) / str(number) / "sqlite/data/servers.db"
    whole = copy.read_bytes()
    copy.write_bytes(b"nothing of the kind")
    await eventually(lambda: is_over(shop), "the deploy has ended")
    assert (await visit(shop))[0] == 503
    error = (await last(shop))["error"]
    assert "the data of before are not put back" in json.dumps(error)
    for command in (f"bluegreen backup restore monitor {number}", "bluegreen start monitor"):
        assert command in error["remedy"], error
    status = await status_of(shop)
    assert status["closed"]
    assert f"backup restore monitor {number}" in json.dumps(status), status
    # A daemon that comes later starts nothing either.
    await shop.kill()
    await shop.serve()
    assert (await visit(shop))[0] == 503
    await expect_stopped(shop)
    await shop.kill()
    (shop.layout.app("monitor").traffic / "special/closed").unlink()  # as if it could not be made
    await shop.serve()
    await expect_stopped(shop)
    assert (await shop.cli("stop", "monitor")).status == 0
    copy.write_bytes(whole)
    await rewrite(shop, HELD)
    answer = await shop.cli("backup", "restore", "monitor", str(number), "--yes")
    assert answer.status == 0, answer.out + answer.err
    answer = await shop.cli("start", "monitor")
    assert answer.status == 0, answer.out + answer.err
    await agreement(shop)
    assert await served_version(shop) == "v2"
    assert "notes" not in schema(shop)["servers"]
    assert "first" in servers(shop)
    assert await applied(shop) == []


async def test_a_daemon_that_ends_waits_for_no_version_that_does_not_start_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0

    async def fail(*_: Any) -> None:
        nonlocal tried
        tried += 1
        run.interrupt(Interruption.SHUTDOWN)
        raise DataError("no", remedy="do")

    run.ending = True
    monkeypatch.setattr(hold, "start_again", fail)
    monkeypatch.setattr(hold, "_time_left", lambda _: 600.0)
    with pytest.raises(DataError):
        await hold.serve_again(run, run.app.slots[Slot.BLUE], then="look")
    assert tried == 1
    assert "does not serve: no" in run.migrating.left[0]
    assert run.migrating.remedy == "look"


def tree_of_what_serves(shop: Stack) -> Path:
    return shop.layout.app("monitor").slot(Slot(shop.marker())).resolve()


async def fails_with_what_served_late(shop: Stack, *words: str) -> str:
    """Of a command that fails in its gate: what served before comes up at the second attempt only.

    What was printed until then.
    """
    command = await shop.start_cli(*words)
    await eventually(lambda: in_gate(shop), "the gate is asked")
    tree = tree_of_what_serves(shop)
    aside = tree.with_name("aside")
    tree.rename(aside)
    assert command.stdout is not None
    said = ""
    while "does not come up yet, and requests wait on" not in said:
        line = await command.stdout.readline()
        assert line, f"it was not tried again: {said}"
        said += line.decode()
    aside.rename(tree)
    await command.communicate()
    assert command.returncode == 1, said
    return said


async def test_requests_wait_on_for_a_version_that_does_not_start_again_at_once(
    shop: Stack,
) -> None:
    await rewrite(shop, HELD, deadline="3s")
    async with writing(shop, visitors=2) as writers:
        await fails_with_what_served_late(shop, "deploy", "v4-unhealthy")
        await agreement(shop)
        await writers.write_more()
    writers.expect_all_there(shop)
    assert phase(await last(shop), "drain")["state"] == "undone"
    assert await served_version(shop) == "v2"


async def test_a_version_that_does_not_start_again_is_said_and_started_once_it_can(
    shop: Stack,
) -> None:
    unwell = shop.root / "unwell"
    probe = f'[[gate.probes]]\nservice = "api"\ncommand = {{ run = "test ! -e {unwell}" }}\n'
    await rewrite(shop, f'{HELD}\n[hold]\nlimit = "20s"\n{probe}', deadline="5s")
    await deploying(shop, "v4-unhealthy")
    tree = tree_of_what_serves(shop)
    aside = tree.with_name("aside")
    tree.rename(aside)
    await eventually(lambda: is_over(shop), "the deploy has ended")
    operation = await last(shop)
    assert phase(operation, "drain")["state"] == "failed"
    said = json.dumps(operation["error"]["detail"])
    assert "v2" in said, operation
    assert "does not serve" in said, operation
    assert "bluegreen logs monitor" in operation["error"]["remedy"]
    assert "notes" not in schema(shop)["servers"]
    unwell.touch()
    aside.rename(tree)
    missed = "blue serves and does not come up: monitor v2 in blue: "
    await eventually(lambda: missed in shop.daemon_log.read_text(), "it runs, and missed its gate")
    unwell.unlink()

    async def serves() -> bool:
        return bool((await status_of(shop))["slots"]["blue"]["ready"])

    await eventually(serves, "what serves is started, and well")
    await agreement(shop)
    assert await served_version(shop) == "v2"
