"""Asks slots how they are while somebody looks: pages show the last answers, and wait for none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from bluegreen.api.checkups import Checkups
from bluegreen.model import Slot, SlotState, UnitState
from bluegreen.operations.runtime import AppRuntime, together
from bluegreen.processes import tell_if_failed

AT_ONCE = 3  # apps that are asked at a time, both of their slots
APART = 1.0  # seconds between two rounds to an app, however often its processes change


class Rounds:
    """Each app is asked no sooner than an answer is good for."""

    def __init__(self, checkups: Checkups) -> None:
        self._checkups = checkups
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[str, float] = {}  # when, by time.monotonic()
        self._being_asked: set[str] = set()
        self._under_way: set[asyncio.Task[None]] = set()

    def begin(self, apps: Iterable[AppRuntime]) -> None:
        """Somebody looks at these: ask those that were not asked a moment ago."""
        due = [app for app in apps if self._is_due(app)]
        if not due:
            return
        self._being_asked.update(app.name for app in due)
        task = asyncio.create_task(self._ask(due), name="ask how slots are")
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        task.add_done_callback(tell_if_failed)

    def _is_due(self, app: AppRuntime) -> bool:
        since = time.monotonic() - self._asked.get(app.name, float("-inf"))
        if app.name in self._being_asked or since < APART:
            return False
        return any(is_to_be_asked(app, slot) and self._checkups.is_due(app, slot) for slot in Slot)

    async def close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _ask(self, apps: list[AppRuntime]) -> None:
        async def ask(app: AppRuntime) -> None:
            try:
                async with self._places:
                    slots = [slot for slot in Slot if is_to_be_asked(app, slot)]
                    await together(self._checkups.health(app, slot) for slot in slots)
            finally:
                self._asked[app.name] = time.monotonic()
                self._being_asked.discard(app.name)

        await together(ask(app) for app in apps)


def is_to_be_asked(app: AppRuntime, slot: Slot) -> bool:
    """What runs, and what is to run and does not, which is ill."""
    status = app.parts.supervisor.status
    keys = app.unit_keys(slot, app.settings.services)
    hot = app.slots[slot].state is SlotState.HOT
    return hot or any(status(key).state is UnitState.RUNNING for key in keys)
