"""Exclusive services follow the traffic: they run in the slot that has it, and never in both.

What is to be so is read from the marker each time, so that it does not matter who has moved the
traffic, a switch or its undo, or whether a daemon was killed in between.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from bluegreen.errors import BluegreenError
from bluegreen.model import Slot, UnitKey, UnitState
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
            for key in self._keys(slot)
            if status(key).state is not UnitState.STOPPED
        ]

    def _missing(self, home: Slot | None) -> list[UnitKey]:
        """Those that are to be started. What an administrator has stopped there stays so."""
        if home is None or not self._app.is_running(home):
            return []
        known = self._app.parts.supervisor.units()
        return [key for key in self._keys(home) if key not in known]

    def _keys(self, slot: Slot) -> list[UnitKey]:
        app = self._app
        return app.unit_keys(slot, app.settings.exclusive.intersection(app.services(slot)))

    def _is_astray(self) -> bool:
        if not self._app.settings.exclusive:
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
