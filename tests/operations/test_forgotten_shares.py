"""Clients who could not be led back: what they were on ends once they are, whoever has done it."""

from __future__ import annotations

from typing import cast

import pytest

from bluegreen.errors import TrafficError
from bluegreen.model import Share, Slot, Traffic
from bluegreen.operations.forgotten_shares import ForgottenShares
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.warmth import Warmth
from tests.operations.queued import QueuedDesk


class Ended:
    """What is to be stopped of refused releases."""

    def __init__(self) -> None:
        self.slots: list[Slot] = []

    def end_refused(self, _: AppRuntime, slot: Slot) -> None:
        self.slots.append(slot)


async def test_what_an_operators_switch_has_led_clients_back_from_is_stopped_too(
    queued: QueuedDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused() -> tuple[str, ...]:
        raise TrafficError("the disk refuses it", remedy="mend the disk")

    async def back() -> tuple[str, ...]:
        return ()

    ended, app = Ended(), queued.app
    shares = ForgottenShares(cast("Warmth", ended))
    alone = queued.traffic.now
    in_steps = Traffic(active=Slot.BLUE, closed=False, share=Share(slot=Slot.GREEN, percent=10))
    for ending, later in ((back, alone), (refused, in_steps), (refused, alone)):
        monkeypatch.setattr(app, "end_share", ending)
        queued.traffic.now = in_steps
        await shares.end(app)
        queued.traffic.now = later
        for _ in range(2):
            await shares.end(app)
    assert ended.slots == [Slot.GREEN, Slot.GREEN]
