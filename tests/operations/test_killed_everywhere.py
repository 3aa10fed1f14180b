"""SIGKILL before and after everything that a deploy and a switch do: then nobody disagrees."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from bluegreen.model import OperationKind
from bluegreen.operations.plans import phases_of
from tests.operations.agreement import agreement
from tests.operations.asking import history_of
from tests.operations.killing import APP, INTACT, LEFT_OUT, Point, Trial, kill_at, points, trial

pytestmark = pytest.mark.asyncio(loop_scope="module")

IN_A_DEPLOY = [
    *points("before operation queued", moved=False, ends=None),
    *points(
        "around preflight intent",
        "before preflight done",
        "around fetch intent",
        "after rename */trees/*-green.draft",
        "before fetch done",
        "around build intent",
        "after rename run/bluegreen/processes/job-*",
        "after rename */trees/*-green.json",
        "before build done",
        moved=False,
        ends="interrupted",
    ),
    *points(
        "around measure intent",
        "before measure done",
        "around start intent",
        "after slot green starting",
        "after unlink run/bluegreen/processes/unit-monitor.green.api.json",
        "after rename */slots/green",
        "after rename run/bluegreen/processes/unit-monitor.green.api.json",
        "before start done",
        "around gate intent",
        "before gate done",
        "around switch intent",
        "before rename traffic/blue",
        built=True,
        moved=False,
        ends="interrupted",
    ),
    *points(
        "after rename */traffic/green",
        "after rename */nginx/slots/monitor.conf",
        "before switch done",
        "around watch intent",
        "before watch done",
        "around settle intent",
        "around settle done",
        "after operation succeeded",
        built=True,
        moved=True,
        ends="succeeded",
    ),
]

IN_A_SWITCH = [
    *points("before operation queued", moved=False, ends=None),
    *points(
        "after switch intent",
        "before rename traffic/blue",
        moved=False,
        ends="interrupted",
    ),
    *points(
        "after rename */traffic/green",
        "before switch done",
        "after operation succeeded",
        moved=True,
        ends="succeeded",
    ),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def visited() -> AsyncIterator[Trial]:
    async with trial(extra=INTACT) as running:
        yield running


async def test_the_table_names_every_phase_of_a_deploy() -> None:
    # For those of a hold see test_hold_killed.py.
    phases = {phase.name for phase in phases_of(OperationKind.DEPLOY, ())} - LEFT_OUT
    for before in (True, False):
        named = {point.step for point in IN_A_DEPLOY if point.before is before}
        assert {f"{phase} intent" for phase in phases} <= named
    assert {f"{phase} done" for phase in phases} <= {p.step for p in IN_A_DEPLOY if p.before}


@pytest.mark.parametrize("point", IN_A_SWITCH, ids=str)
async def test_killed_in_a_switch_back(visited: Trial, point: Point) -> None:
    await visited.kill_and_recover(point, f"{APP}/switch", {"to": "back"})
    await visited.back_to("blue")


@pytest.mark.parametrize("point", IN_A_DEPLOY, ids=str)
async def test_killed_in_a_deploy(visited: Trial, point: Point) -> None:
    await visited.kill_and_recover(point, f"{APP}/deployments", {"version": "v2"})
    await visited.back_to("blue")


async def test_after_all_kills_a_deploy_reclaims_what_they_left(visited: Trial) -> None:
    await visited.stack.deploy("v2")
    await agreement(visited.stack)
    layout = visited.stack.layout.app("monitor")
    linked = {link.resolve() for link in layout.slots.iterdir() if not link.name.startswith(".")}
    left = {path for path in layout.trees.iterdir() if path.is_dir()}
    assert left == linked
    assert {path.stem for path in layout.trees.glob("*.json")} == {tree.name for tree in left}
    await visited.back_to("blue")


IN_THE_UNDOING = points(
    "around gate undoing",
    "after gate undone",
    "around start undoing",
    "after rename */slots/green",
    "around start undone",
    built=True,
    since="gate failed",
    moved=False,
    ends="interrupted",
) + points("after operation failed", built=True, moved=False, ends="failed")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def crashing() -> AsyncIterator[Trial]:
    """In which v3-crashes does not get through its gate."""
    async with trial(env={"MONITOR_CRASH_AFTER": "0"}) as running:
        yield running


@pytest.mark.parametrize("point", IN_THE_UNDOING, ids=str)
async def test_killed_while_a_refused_release_is_undone(crashing: Trial, point: Point) -> None:
    await crashing.kill_and_recover(point, f"{APP}/deployments", {"version": "v3-crashes"})
    status = await agreement(crashing.stack)
    assert status["slots"]["green"]["version"] == "v2"
    assert status["slots"]["green"]["ready"]  # hot before, and warmed up again


ON_THE_WAY_BACK = points(
    "after watch failed",
    "around switch undoing",
    "before rename traffic/green",
    "after rename */traffic/blue",
    "around switch undone",
    "after start undone",
    "around operation rolled_back",
    built=True,
    since="watch intent",
    relapse=True,
    moved=False,
    ends="rolled_back",
)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def unvisited() -> AsyncIterator[Trial]:
    """Without visitors, for what they would notice."""
    async with trial(loaded=False, services=("web", "api")) as running:
        await running.rewrite(watch="20s", services=("web", "api"))
        yield running


@pytest.mark.parametrize("point", ON_THE_WAY_BACK, ids=str)
async def test_killed_while_a_release_is_switched_back(unvisited: Trial, point: Point) -> None:
    await unvisited.kill_and_recover(point, f"{APP}/deployments", {"version": "v2"})


IN_A_STOP = points(
    "after close intent",
    "before close done",
    "around stop intent",
    "before stop done",
    moved=False,
    ends="succeeded",
)
IN_A_START = points(
    "after start intent",
    "before gate done",
    "after open intent",
    "after unlink */traffic/special/closed",
    "before open done",
    moved=False,
    ends="succeeded",
)


@pytest.mark.parametrize(("stop", "start"), [*zip(IN_A_STOP, IN_A_START, strict=True)], ids=str)
async def test_killed_in_a_stop_and_in_a_start(unvisited: Trial, stop: Point, start: Point) -> None:
    stack = unvisited.stack
    await kill_at(stack, stop, f"{APP}/stop", {})
    await stack.serve()
    await agreement(stack, closed=True)
    await kill_at(stack, start, f"{APP}/start", {})
    await stack.serve()
    status = await agreement(stack)
    assert status["active"] == "blue"
    newest, before, *_ = await history_of(stack)
    assert (newest["kind"], newest["state"]) == ("start", "succeeded")
    assert (before["kind"], before["state"]) == ("stop", "succeeded")


IN_A_SWITCH_TO_A_COLD_SLOT = [
    *points(
        "after start intent",
        "before gate done",
        "around switch intent",
        "before rename traffic/blue",
        moved=False,
        ends="interrupted",
    ),
    *points("after rename */traffic/green", "before switch done", moved=True, ends="succeeded"),
]


@pytest.mark.parametrize("point", IN_A_SWITCH_TO_A_COLD_SLOT, ids=str)
async def test_killed_in_a_switch_to_a_slot_that_is_started_first(
    unvisited: Trial, point: Point
) -> None:
    for request in ("stop", "start"):  # leaves green cold
        await unvisited.request(request)
    await unvisited.kill_and_recover(point, f"{APP}/switch", {"to": "back"})
    await unvisited.back_to("blue")
