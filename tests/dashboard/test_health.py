"""Rounds: who is asked how they are, and how often, while somebody looks; and what goes wrong."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.api.checkups import Checkups
from bluegreen.dashboard import health
from bluegreen.dashboard.health import APART, Rounds
from bluegreen.model import Slot, UnitState
from bluegreen.operations.runtime import AppRuntime
from tests.waiting import eventually


async def test_an_app_is_in_one_round_at_a_time_and_in_the_next_when_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now, asked, answered = [0.0], [], asyncio.Event()
    due = [True]

    class Answers:
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
            name="shop", settings=SimpleNamespace(services=["web"]), unit_keys=lambda *_: ["web"],
            slots={slot: SimpleNamespace(state=None) for slot in Slot},
            parts=SimpleNamespace(supervisor=SimpleNamespace(status=lambda _: running)),
        ),
    )  # fmt: skip
    rounds = Rounds(cast("Checkups", Answers()))
    for at in (0, 1, 20, 40):  # it does not answer: nobody piles up behind it
        now[0] = at
        rounds.begin([app])
        await asyncio.sleep(0)
    answered.set()
    await eventually(lambda: len(asked) == 2, "both slots are asked")
    await eventually(lambda: not rounds._under_way, "the round is over")
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


class _Broken:
    """Answers of one slot, and a defect at the other."""

    def __init__(self) -> None:
        self.asked: list[Slot] = []

    def is_due(self, *_: object) -> bool:
        return True

    async def health(self, app: object, slot: Slot) -> Any:
        self.asked.append(slot)
        if slot is Slot.BLUE:
            raise RuntimeError("a defect")


async def test_what_goes_wrong_with_one_slot_is_in_the_log_and_the_others_are_asked(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(health, "is_to_be_asked", lambda *_: True)
    checkups = _Broken()
    rounds = Rounds(cast("Checkups", checkups))
    rounds.begin([cast("AppRuntime", SimpleNamespace(name="shop"))])
    await eventually(lambda: "'ask how slots are' failed" in caplog.text, "it is in the log")
    assert checkups.asked == [Slot.BLUE, Slot.GREEN]
    await rounds.close()
