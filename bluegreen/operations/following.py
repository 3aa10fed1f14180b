"""Exclusive services follow the traffic: they run in the slot that has it, and never in both.

What is to be so is read from the marker each time, so that it does not matter who has moved the
traffic, a switch or its undo, or whether a daemon was killed in between. Which services these are
was recorded as a slot was started: the app file may since have given one another name, or none.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bluegreen.errors import BluegreenError
from bluegreen.model import Slot, SlotState, UnitKey, UnitState
from bluegreen.processes import tell_if_failed

if TYPE_CHECKING:
    from bluegreen.operations.runtime import AppRuntime

log = logging.getLogger(__name__)

FIRST_WAIT = 2.0  # seconds from a move that failed to the next, twice as long each time
LONGEST_WAIT = 60.0


class Following:
    """Those of one app. ``lock`` is held while they move, and while a slot is stopped."""

    def __init__(self, app: AppRuntime) -> None:
        self._app = app
        self.lock = asyncio.Lock()
        self._moving: asyncio.Task[None] | None = None
        self._not_before, self._wait = 0.0, FIRST_WAIT
        self._said: str | None = None
        self._closed = False

    def look(self, *, at_once: bool = False) -> None:
        """Begin to move what is not where the traffic is; ``at_once``: also if it just failed."""
        now = asyncio.get_running_loop().time()
        if self._closed or not self._is_astray():
            return
        if self._moving is None and (at_once or now >= self._not_before):
            self._moving = asyncio.create_task(
                self._move(), name=f"move exclusive services of {self._app.name}"
            )
            self._moving.add_done_callback(tell_if_failed)

    async def moved(self) -> None:
        """Once nothing is on its way any more; whether all of it runs, its state says."""
        self.look(at_once=True)
        if self._moving is not None:
            await asyncio.wait([self._moving])

    async def close(self) -> None:
        """Stays where it is: the next daemon looks again."""
        self._closed = True  # whoever looks every two seconds ends later
        if self._moving is not None:
            self._moving.cancel()
            await asyncio.wait([self._moving])

    def left_behind(self, slot: Slot) -> tuple[str, ...]:
        """Warnings of what ``slot`` was started with, and nobody can start there any more."""
        named = self._app.settings.services
        return tuple(
            f"{name} of {slot} is not started: the app file no longer names it; with it put back, "
            f"{self._app.parts.layout.remedies.take_up} starts it"
            for name in self._app.slots[slot].exclusive or ()
            if name not in named
        )

    def _home(self) -> Slot | None:
        """The slot in which they are to run: that has the traffic, and was not stopped.

        What has crashed there and is about to be started again takes none of them along.
        """
        traffic = self._app.parts.traffic.read(self._app.name)
        if traffic.active is None or traffic.closed or self._app.is_stopped(traffic.active):
            return None
        return traffic.active

    def _elsewhere(self, home: Slot | None) -> list[UnitKey]:
        """Those that run where they are not to."""
        status = self._app.parts.supervisor.status
        return [
            key
            for slot in Slot
            if slot is not home
            for key in self._app.unit_keys(slot, self._app.exclusive(slot))
            if status(key).state is not UnitState.STOPPED
        ]

    def _missing(self, home: Slot | None) -> list[UnitKey]:
        """Those that are to be started, once the others have passed their gate.

        What was stopped for a hold serves again only then. What an administrator has stopped there
        stays so.
        """
        app = self._app
        if home is None or app.slots[home].state is not SlotState.HOT or not app.is_running(home):
            return []
        known, exclusive = app.parts.supervisor.units(), app.exclusive(home)
        names = [name for name in app.services(home) if name in exclusive]
        return [key for key in app.unit_keys(home, names) if key not in known]

    def _is_astray(self) -> bool:
        if not any(self._app.exclusive(slot) for slot in Slot):
            return False
        home = self._home()
        return bool(self._elsewhere(home) or self._missing(home))

    async def _move(self) -> None:
        try:
            while self._is_astray():
                async with self.lock:
                    await self._move_once()
            self._wait, self._said = FIRST_WAIT, None
        except BluegreenError as error:
            self._not_before = asyncio.get_running_loop().time() + self._wait
            self._wait = min(2 * self._wait, LONGEST_WAIT)
            await self._say(f"{error.message}; {error.remedy}")
        finally:
            self._moving = None

    async def _move_once(self) -> None:
        """One after the other: until all have ended in one slot, none is started in the other."""
        app, supervisor = self._app, self._app.parts.supervisor
        for key in self._elsewhere(self._home()):
            await supervisor.stop(key, alone=True)
        home = self._home()  # it may have moved meanwhile
        if self._elsewhere(home):
            return
        for key in self._missing(home):
            unit = await asyncio.to_thread(app.unit, key, app.slots[key.slot])
            await supervisor.start(unit)

    async def _say(self, why: str) -> None:
        if why != self._said:
            self._said = why
            message = f"exclusive services are not where the traffic is: {why}"
            log.warning("%s: %s", self._app.name, message, extra={"app": self._app.name})
            await self._app.parts.note(self._app.name, None, "warning", message=message)
