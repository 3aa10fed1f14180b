"""Whether the services run on, or end and are started again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bluegreen.health.target import Target
from bluegreen.model import UnitKey, UnitState

_ENDED_WELL = "exit status 0"
STOP_LIMIT = 5.0  # seconds for one that is being stopped to end, which says why
STOP_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class Fall:
    """An instance of a service that did not run on."""

    key: UnitKey
    what: str  # "service api restarted: exit status 1"


class Restarts:
    """How often each instance had been restarted when this was made; more counts as a failure."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._before = {
            key: target.view.status(key).restarts for key in target.keys(target.services)
        }

    def fall(self) -> Fall | None:
        """The first instance that is not running or was restarted. From memory, so cheap."""
        for key, before in self._before.items():
            status, name = self._target.view.status(key), self._target.name(key)
            why = f": {status.last_exit}" if status.last_exit else ""
            if status.last_exit == _ENDED_WELL:
                why += " (a service stays in the foreground: it neither ends nor daemonises)"
            if status.restarts > before:
                return Fall(key=key, what=f"service {name} restarted{why}")
            if status.state is UnitState.BACKOFF:
                return Fall(key=key, what=f"service {name} ended{why}")
            if status.state is not UnitState.RUNNING:
                what = f"service {name} does not run ({status.state}){why}"
                return Fall(key=key, what=what)
        return None

    async def fall_with_cause(self) -> Fall | None:
        """As ``fall``; one of which only its stop is known yet is given some time to end.

        Until then nothing says whether somebody stops it or what it dies of.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + STOP_LIMIT
        while (fall := self.fall()) is not None:
            status = self._target.view.status(fall.key)
            unknown = status.state is UnitState.STOPPING and status.last_exit is None
            if not unknown or loop.time() >= until:
                return fall
            await asyncio.sleep(STOP_POLL)
        return None
