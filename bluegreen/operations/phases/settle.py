"""Settle: the release has proved itself; the old one is kept hot for its time."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from bluegreen.model import PhaseName, SlotState
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime

LIMIT = 600.0  # seconds


async def keep_for_a_while(app: AppRuntime) -> None:
    """Start the clock of the idle slot's hot time, where it runs and has none yet."""
    record = app.slots[app.idle]
    hot = app.settings.keep.hot
    if record.state is SlotState.HOT and record.hot_until is None and hot is not None:
        await app.keep_slot(replace(record, hot_until=time.time() + hot))


class Settle:
    """Name the time until which the old slot stays hot; remove trees and backups nobody needs."""

    name = PhaseName.SETTLE
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        await keep_for_a_while(run.app)
        if PhaseName.BACKUP in run.recorded:
            await run.app.backups.prune()
        return {"reclaimed": await run.app.trees.reclaim(await run.app.needed_trees())}

    async def undo(self, run: Run) -> bool:
        return True
