"""Where exclusive services are to run, by what the others do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.model import Slot, Traffic, UnitKey, UnitState, UnitStatus
from bluegreen.operations.following import Following
from bluegreen.operations.runtime import AppRuntime


def app_of(web: UnitState, *, closed: bool = False) -> AppRuntime:
    """Of blue, which has the traffic, where ``web`` is in that state and the scheduler runs."""
    states = {"web": web, "scheduler": UnitState.RUNNING}

    def status(key: UnitKey) -> UnitStatus:
        state = states[key.service] if key.slot is Slot.BLUE else UnitState.STOPPED
        return UnitStatus(key=key, state=state)

    parts = SimpleNamespace(
        traffic=SimpleNamespace(read=lambda _: Traffic(active=Slot.BLUE, closed=closed)),
        supervisor=SimpleNamespace(
            status=status,
            units=lambda: [UnitKey(app="shop", slot=Slot.BLUE, service=one) for one in states],
        ),
    )
    settings = SimpleNamespace(name="shop", services=states, exclusive=frozenset({"scheduler"}))
    held = SimpleNamespace(services=dict.fromkeys(states, 1))
    return AppRuntime(
        settings=cast("Any", settings), parts=cast("Any", parts),
        slots=cast("Any", dict.fromkeys(Slot, held)),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("web", "is_astray"),
    [
        (UnitState.RUNNING, False),
        (UnitState.BACKOFF, False),  # a crash beside it ends no scheduler
        (UnitState.STOPPING, True),
        (UnitState.STOPPED, True),
    ],
)
def test_they_are_stopped_with_the_others_and_not_by_a_crash(
    web: UnitState, *, is_astray: bool
) -> None:
    assert Following(app_of(web))._is_astray() is is_astray
    assert Following(app_of(web, closed=True))._is_astray()
