"""The daemon ends, or its host goes down, while many apps are each in another phase of their data.

Their visitors do not notice the first, and whichever it is, each app has one version with the data
that belong to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from bluegreen.demo.versions import VERSIONS
from tests.host import lab
from tests.production.agreement import agreement
from tests.production.asking import ask, latest_operation, status_of
from tests.production.ends import End, crash, kill, reboot, restart, stop
from tests.production.held_apps import APPS, PLACES, Data, HeldApps, Place, next_version
from tests.production.production import Production

# Ten apps are deployed in each of them, while other tests run.
pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(900)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def held(program: Path) -> AsyncIterator[HeldApps]:
    async with lab.host(over=program) as built:
        apps = HeldApps(Production(built))
        await apps.set_up()
        yield apps


@pytest.mark.parametrize(
    ("end", "places"),
    # To an operation a restart is a stop: each phase sees one of them.
    [(restart, PLACES[::2]), (stop, PLACES[1::2]), (kill, PLACES)],
    ids=["restart", "stop", "kill"],
)
async def test_a_daemon_that_ends_in_any_phase_of_data_is_missed_by_nobody(
    held: HeldApps, end: End, places: Sequence[Place]
) -> None:
    names = tuple(place.app for place in PLACES)
    load = held.host.load(
        connections=len(names), hosts=names, websockets=0, downloads=0, think=0.2, timeout=200.0
    )
    async with load:
        await load.ready()
        before = {place: await status_of(held.apps[place]) for place in places}
        after = await _trial(held, places, end)
        report = await load.stop()
    assert report.failures == ()
    for place in places:
        if place.mode == "online":
            assert _pid(after[place]) == _pid(before[place]), f"{place.app} has died with it"


@pytest.mark.parametrize("end", [reboot, crash], ids=lambda end: end.__name__)
async def test_a_host_that_goes_down_in_any_phase_of_data_comes_up_with_those_that_belong_together(
    held: HeldApps, end: End
) -> None:
    await _trial(held, PLACES, end)


async def test_afterwards_each_mode_is_deployed(held: HeldApps) -> None:
    data = await held.data()
    migrating = [place for place in PLACES if place.phase == "migrate"]
    versions = {place: next_version(place, data[place]) for place in migrating}
    await held.deploy(versions)
    for place, version in versions.items():
        assert (await agreement(held.apps[place]))["slots"]["green"]["version"] == version


async def _trial(held: HeldApps, places: Sequence[Place], end: End) -> Mapping[Place, Any]:
    """One deploy of each in which all end; the next trial's shows that a next one works."""
    await held.order(f"before {end.__name__}")
    before = await held.data()
    versions = {
        place: next_version(place, data) for place, data in before.items() if place in places
    }
    serving = {place: (await status_of(held.apps[place]))["active"] for place in places}
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(held.let_all_go)
        await held.come_to_their_places(versions)
        await held.order(f"in {end.__name__}")
        await end(held.apps[places[0]], held)
    statuses = {place: await agreement(held.apps[place]) for place in places}
    data = await held.data()
    for place in places:
        operation = await latest_operation(held.apps[place])
        assert operation["state"] == place.ends, f"{place.app}: {operation}"
        status = statuses[place]
        assert status["held"] is None, place.app
        assert (status["active"] == serving[place]) is not place.moves, place.app
        if place.moves:
            assert status["slots"][status["active"]]["version"] == versions[place]
        new = _after(place, before[place], versions[place], f"in {end.__name__}")
        assert replace(data[place], columns=frozenset()) == replace(new, columns=frozenset()), (
            f"{place.app}: {operation}"
        )
        if not place.moves:
            assert data[place].columns == before[place].columns, place.app
        known = (await ask(held.apps[place], "GET", f"/v1/apps/{place.app}/migrations"))[1]
        assert {one["name"] for one in known["applied"]} == new.applied, f"{place.app}: {operation}"
    found = await held.host.host.run(
        "find", APPS, "-ignore_readdir_race", "-name", ".bluegreen-rehearsal"
    )
    assert found.output == ""
    return statuses


def _after(place: Place, before: Data, version: str, written: str) -> Data:
    """But for columns, what is in the data after a trial in which ``written`` was ordered."""
    orders = before.orders | ({written} if place.keeps else set())
    applied = before.applied
    if place.moves:
        applied = applied | set(VERSIONS[version].migrations)
    return replace(before, orders=orders, applied=applied)


def _pid(status: Any) -> Any:
    return status["slots"]["blue"]["services"]["api"]["pid"]
