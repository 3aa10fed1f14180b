"""``switch back`` with a store that cannot be used: under a daemon, and without one."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from bluegreen.model import Hold
from bluegreen.operations.recovery import SOMEBODY
from bluegreen.traffic.markers import Markers
from tests.operations.agreement import agreement
from tests.operations.asking import history_of, status_of
from tests.operations.killing import kill_service
from tests.stack import Stack, stack
from tests.visits import served_version

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module")
async def both_hot() -> AsyncIterator[Stack]:
    """v2 serves, and v1 is hot beside it."""
    async with stack() as built:
        built.write_app(services=("web", "api"), watch="0s", healthy_for="0.1s")
        await built.serve()
        await built.deploy("v1")
        await built.deploy("v2")
        yield built


def files_of(database: Path) -> list[Path]:
    return [Path(f"{database}{end}") for end in ("", "-wal", "-shm")]


def remove(database: Path) -> None:
    for file in files_of(database):
        file.unlink(missing_ok=True)


def replace_by_garbage(database: Path) -> None:
    """In place, so that a daemon that has it open reads it too."""
    for file in files_of(database):
        if file.exists():
            with file.open("r+b") as opened:
                opened.write(b"no database at all " * 4000)


def replace_by_a_directory(database: Path) -> None:
    """What nobody may open, whoever he is: root is asked for no permission."""
    remove(database)
    (database / "in the way").mkdir(parents=True)


RUINS: list[Callable[[Path], None]] = [remove, replace_by_garbage, replace_by_a_directory]


@pytest.mark.parametrize("ruin", RUINS)
async def test_a_running_daemon_moves_traffic_whatever_has_become_of_its_store(
    both_hot: Stack, ruin: Callable[[Path], None]
) -> None:
    ruin(both_hot.layout.database)
    for version in ("v1", "v2"):
        answer = await both_hot.cli("switch", "back")
        assert answer.status == 0, answer.out + answer.err
        assert await served_version(both_hot) == version


@pytest.mark.parametrize("ruin", [remove, replace_by_garbage])
async def test_a_daemon_that_begins_anew_with_its_store_moves_traffic(
    both_hot: Stack, ruin: Callable[[Path], None]
) -> None:
    await both_hot.kill()
    ruin(both_hot.layout.database)
    await both_hot.serve()
    answer = await both_hot.cli("switch", "back")
    assert answer.status == 0, answer.out + answer.err
    assert await served_version(both_hot) == "v1"


async def test_where_no_daemon_can_be_started_the_marker_is_moved_without_one(
    both_hot: Stack,
) -> None:
    refused = await both_hot.cli("switch", "back", "--emergency")
    assert refused.status == 1
    assert "a daemon already serves" in refused.err
    await both_hot.kill()
    saved = both_hot.layout.database.with_name("saved")
    saved.mkdir()
    for file in files_of(both_hot.layout.database):
        if file.exists():
            file.rename(saved / file.name)
    replace_by_a_directory(both_hot.layout.database)
    with pytest.raises(AssertionError, match="the daemon has ended"):
        await both_hot.serve()
    told = await both_hot.cli("switch", "back", "monitor")
    assert told.status == 3
    assert "bluegreen switch back monitor --emergency" in told.err

    answer = await both_hot.cli("switch", "back", "--emergency")
    assert answer.status == 0, answer.out + answer.err
    assert "the store cannot be read" in answer.out
    assert await served_version(both_hot) == "v1"
    again = await both_hot.cli("switch", "to", both_hot.marker(), "--emergency")
    assert again.status == 1
    assert "already" in again.err

    # The next daemon goes by the marker, with the store of before.
    (both_hot.layout.database / "in the way").rmdir()
    both_hot.layout.database.rmdir()
    for file in saved.iterdir():
        file.rename(both_hot.layout.database.parent / file.name)
    await both_hot.serve()
    await agreement(both_hot)
    status = await status_of(both_hot)
    assert status["slots"][status["active"]]["version"] == "v1"
    assert status["queue"]["paused"]["by"] == SOMEBODY.name
    assert (await history_of(both_hot))[0]["kind"] == "switch"


async def test_without_a_daemon_a_hold_by_hand_goes_on_and_is_told(both_hot: Stack) -> None:
    before, version = both_hot.marker(), await served_version(both_hot)
    assert (await both_hot.cli("hold", "--timeout", "10m")).status == 0
    await both_hot.kill()
    answer = await both_hot.cli("switch", "back", "--emergency")
    assert answer.status == 0, answer.out + answer.err
    assert both_hot.marker() != before
    hold = both_hot.layout.app("monitor").traffic / "special/hold"
    assert "requests are held by uid " in answer.out
    assert f"to let them through now: rm {hold}" in answer.out
    hold.unlink()
    assert await served_version(both_hot) != version
    await both_hot.serve()
    await agreement(both_hot)


async def test_without_a_daemon_the_hold_of_an_operation_is_over_and_so_is_its_promise(
    both_hot: Stack,
) -> None:
    await both_hot.kill()
    before, layout = both_hot.marker(), both_hot.layout.app("monitor")
    now = time.time()
    Markers(layout.traffic).hold(Hold(since=now, until=now + 600, by="somebody", operation=2))
    layout.unwritten.write_text("2\n")
    answer = await both_hot.cli("switch", "back", "--emergency")
    assert answer.status == 0, answer.out + answer.err
    assert "requests are held by operation 2, until" in answer.out
    assert both_hot.marker() != before
    assert await served_version(both_hot) in ("v1", "v2")
    assert not layout.unwritten.exists()
    await both_hot.serve()
    await agreement(both_hot)


async def test_without_a_daemon_nothing_moves_to_a_slot_that_does_not_serve(
    both_hot: Stack,
) -> None:
    await both_hot.kill()
    before = both_hot.marker()
    kill_service(both_hot, "blue" if before == "green" else "green", "api")
    now = time.time()
    hold = Hold(since=now, until=now + 600, by="somebody", operation=2)
    Markers(both_hot.layout.app("monitor").traffic).hold(hold)
    answer = await both_hot.cli("switch", "back", "--emergency")
    assert answer.status == 1
    assert "does not take connections" in answer.err
    assert "requests are held by operation 2" in answer.err
    assert both_hot.marker() == before
