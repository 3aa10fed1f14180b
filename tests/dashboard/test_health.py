"""Slots are asked beside the pages that show how they are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from bluegreen.api.checkups import Checkups
from bluegreen.dashboard import health
from bluegreen.dashboard.health import Rounds
from bluegreen.model import Slot
from bluegreen.operations.runtime import AppRuntime
from tests.waiting import eventually


class _Broken:
    """Answers of one slot, and a defect at the other."""

    def __init__(self) -> None:
        self.asked: list[Slot] = []

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
