"""The outside world, as it is handed to what works on it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bluegreen.errors import StoreError
from bluegreen.layout import Layout
from bluegreen.store.store import Store
from bluegreen.supervisors.interface import Supervisor
from bluegreen.traffic.control import TrafficControl

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Parts:
    """The outside world, each piece handed in once."""

    layout: Layout
    store: Store
    supervisor: Supervisor
    traffic: TrafficControl
    builds: asyncio.Semaphore

    async def note(self, app: str, operation: int | None, kind: str, **data: object) -> None:
        """Record an event for people; a store that fails loses the event, never the operation."""
        try:
            await self.store.add_event(app=app, operation=operation, kind=kind, data=data)
        except StoreError as error:
            named = {"app": app, "operation": operation}
            log.warning("event of %s not recorded: %s", app, error.message, extra=named)
