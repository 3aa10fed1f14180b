"""Rounds: who is asked how they are, and how often, while somebody looks."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.dashboard import health
from bluegreen.dashboard.health import APART, Rounds
from bluegreen.model import Slot, UnitState
from tests.waiting import eventually


async def test_an_app_is_in_one_round_at_a_time_and_in_the_next_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked, answered = [0.0], [], asyncio.Event()
    due = [True]

    class Checkups:
        def is_due(self, *_: object) -> bool:
            return due[0]

        async def health(self, _: object, slot: Slot) -> None:
            asked.append(slot)
            await answered.wait()

    monkeypatch.setattr(health, "time", SimpleNamespace(monotonic=lambda: now[0]))
    running = SimpleNamespace(state=UnitState.RUNNING)
    app = cast(
        "Any",
        SimpleNamespace(
            name="shop", settings=SimpleNamespace(services=["web"]),
            slots={slot: SimpleNamespace(state=None) for slot in Slot},
            parts=SimpleNamespace(supervisor=SimpleNamespace(status=lambda _: running)),
        ),
    )  # fmt: skip
    rounds = Rounds(cast("Any", Checkups()))
    for at in (0, 1, 20, 40):  # it does not answer: nobody piles up behind it
        now[0] = at
        rounds.begin([app])
        await asyncio.sleep(0)
    answered.set()
    await eventually(lambda: len(asked) == 2, "both slots are asked")
    assert asked == [Slot.BLUE, Slot.GREEN]
    await asyncio.sleep(0)
    rounds.begin([app])  # it was asked this instant
    now[0] += APART
    due[0] = False
    rounds.begin([app])  # what it has answered is good yet
    await asyncio.sleep(0)
    assert len(asked) == 2
    due[0] = True
    rounds.begin([app])
    await eventually(lambda: len(asked) == 4, "and again")
    await rounds.close()
