"""No visitor is let through to a release that may be taken back with its data."""

from __future__ import annotations

import asyncio

import pytest

from bluegreen.errors import RefusedError
from bluegreen.operations.phases.hold import (
    HoldRequests,
    require_time_to_switch,
    traffic_may_move,
)
from bluegreen.operations.run import Run
from tests.operations.told import BROKEN, run

__all__ = ["run"]


def held_for(run: Run, seconds: float) -> None:
    """So many seconds more."""
    hold = run.app.settings.hold
    run.forward_until = asyncio.get_running_loop().time() + seconds - hold.limit + hold.forward


async def test_a_switch_begins_only_while_nginx_can_confirm_it_within_the_hold(run: Run) -> None:
    require_time_to_switch(run)  # nobody is held
    held_for(run, 10)
    require_time_to_switch(run)
    held_for(run, 5)
    with pytest.raises(RefusedError, match="too short for a switch"):
        require_time_to_switch(run)


async def test_a_switch_that_failed_within_the_hold_has_let_nobody_in(run: Run) -> None:
    run.migrating.backup = 1
    held_for(run, 10)
    with pytest.raises(type(BROKEN)), traffic_may_move(run):
        raise BROKEN
    assert not run.switched
    assert not run.migrating.unrestored


async def test_what_visitors_may_have_written_is_not_replaced_by_a_backup(run: Run) -> None:
    run.migrating.backup = 1
    held_for(run, -1)
    with pytest.raises(type(BROKEN)), traffic_may_move(run):
        raise BROKEN
    assert run.switched
    assert run.migrating.unrestored
    assert "visitors may have written" in run.migrating.left[0]


async def test_migrations_that_take_longer_than_there_is_are_not_begun(run: Run) -> None:
    run.migrating.rehearsed_seconds = run.app.settings.hold.forward + 0.5
    with pytest.raises(RefusedError, match=r"took 40\.5 s in the rehearsal") as caught:
        await HoldRequests().act(run)
    assert 'limit = "162s"' in caught.value.remedy
