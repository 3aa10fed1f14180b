"""Whether the services run on, or end and are started again."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from bluegreen.health.target import Target
from bluegreen.model import UnitState

_ENDED_WELL = "exit status 0"
STOP_LIMIT = 5.0  # seconds for one that is being stopped to end, which says why
STOP_POLL = 0.05


@dataclass(frozen=True, kw_only=True)
class Fall:
    """A service that did not run on."""

    service: str
    what: str  # "service api restarted: exit status 1"


class Restarts:
    """How often each service had been restarted when this was made; more counts as a failure."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._before = {
            service: target.view.status(service).restarts for service in target.services
        }

    def fall(self) -> Fall | None:
        """The first service that is not running or was restarted. From memory, so cheap."""
        for service, before in self._before.items():
            status = self._target.view.status(service)
            why = f": {status.last_exit}" if status.last_exit else ""
            if status.last_exit == _ENDED_WELL:
                why += " (a service stays in the foreground: it neither ends nor daemonises)"
            if status.restarts > before:
                return Fall(service=service, what=f"service {service} restarted{why}")
            if status.state is UnitState.BACKOFF:
                return Fall(service=service, what=f"service {service} ended{why}")
            if status.state is not UnitState.RUNNING:
                what = f"service {service} does not run ({status.state}){why}"
                return Fall(service=service, what=what)
        return None

    async def fall_with_cause(self) -> Fall | None:
        """As ``fall``; one of which only its stop is known yet is given some time to end.

        Until then nothing says whether somebody stops it or what it dies of.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + STOP_LIMIT
        while (fall := self.fall()) is not None:
            status = self._target.view.status(fall.service)
            unknown = status.state is UnitState.STOPPING and status.last_exit is None
            if not unknown or loop.time() >= until:
                return fall
            await asyncio.sleep(STOP_POLL)
        return None
