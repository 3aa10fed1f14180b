"""Where exclusive services are to run, by what the others do."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.model import Slot, SlotState, Traffic, UnitKey, UnitState, UnitStatus
from bluegreen.operations.following import Following
from bluegreen.operations.runtime import AppRuntime


def app_of(
    web: UnitState,
    *,
    closed: bool = False,
    active: Slot = Slot.BLUE,
    scheduler: UnitState = UnitState.RUNNING,
    state: SlotState = SlotState.HOT,
    named: tuple[str, ...] = ("web", "scheduler"),
    exclusive: frozenset[str] = frozenset({"scheduler"}),
    recorded: tuple[str, ...] | None = None,
) -> AppRuntime:
    """Of blue, where ``web`` and ``scheduler`` are in these states and nothing else runs.

    ``named`` is what the app file names, ``exclusive`` what it calls so.
    """
    states = {"web": web, "scheduler": scheduler}

    def status(key: UnitKey) -> UnitStatus:
        is_there = key.slot is Slot.BLUE and key.service in states
        return UnitStatus(key=key, state=states[key.service] if is_there else UnitState.STOPPED)

    parts = SimpleNamespace(
        traffic=SimpleNamespace(read=lambda _: Traffic(active=active, closed=closed)),
        supervisor=SimpleNamespace(
            status=status,
            units=lambda: [
                UnitKey(app="shop", slot=Slot.BLUE, service=name)
                for name, each in states.items()
                if each is not UnitState.STOPPED
            ],
        ),
    )
    settings = SimpleNamespace(
        name="shop",
        services=dict.fromkeys(named, SimpleNamespace(instances=1)),
        exclusive=exclusive,
    )
    held = SimpleNamespace(services=dict.fromkeys(states, 1), exclusive=recorded, state=state)
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


@pytest.mark.parametrize(
    ("named", "exclusive", "recorded", "is_astray"),
    [
        (("web", "cron"), frozenset({"cron"}), ("scheduler",), True),  # it was renamed
        (("web",), frozenset[str](), ("scheduler",), True),  # removed
        (("web", "scheduler"), frozenset[str](), ("scheduler",), True),  # exclusive no more
        (("web", "scheduler"), frozenset({"scheduler"}), (), True),  # exclusive since
        (("web", "scheduler"), frozenset({"scheduler"}), None, True),  # nobody had recorded it
        (("web", "scheduler"), frozenset[str](), (), False),
    ],
)
def test_what_was_exclusive_as_it_was_started_is_stopped_where_traffic_is_not_any_more(
    named: tuple[str, ...],
    exclusive: frozenset[str],
    recorded: tuple[str, ...] | None,
    *,
    is_astray: bool,
) -> None:
    settings: Any = {"named": named, "exclusive": exclusive, "recorded": recorded}
    assert not Following(app_of(UnitState.RUNNING, **settings))._is_astray()
    left = app_of(UnitState.RUNNING, active=Slot.GREEN, **settings)
    assert Following(left)._is_astray() is is_astray
    # It is no part of what has to run for the slot to be ready either.
    stopped = app_of(UnitState.RUNNING, scheduler=UnitState.STOPPED, **settings)
    assert stopped.is_running(Slot.BLUE) is is_astray


def test_they_are_started_in_no_slot_that_has_not_passed_its_gate() -> None:
    stopped = UnitState.STOPPED
    for state in SlotState:
        app = app_of(UnitState.RUNNING, scheduler=stopped, state=state)
        assert Following(app)._is_astray() is (state is SlotState.HOT)
    # Nor is what runs taken away with it: a crash beside it ends no scheduler.
    assert not Following(app_of(UnitState.RUNNING, state=SlotState.STARTING))._is_astray()
