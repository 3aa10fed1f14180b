"""What is put right without being asked: nginx that has ended, markers that were meddled with,
holds that an earlier daemon has left, clients that were not led back, a slot that serves
and could not be started."""

from __future__ import annotations

import asyncio
import logging

from bluegreen.errors import BluegreenError
from bluegreen.operations.desk import Desk
from bluegreen.operations.forgotten_shares import ForgottenShares
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.serving import Serving

log = logging.getLogger(__name__)

INTERVAL = 2.0  # seconds between looks


def in_words(error: Exception) -> str:
    """For ``status``: what is wrong, and what to do."""
    return f"{error.message}; {error.remedy}" if isinstance(error, BluegreenError) else str(error)


class Upkeep:
    """Looks every two seconds. ``trouble`` is what it could not put right, for ``status``."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._traffic = desk.parts.traffic
        self._serving = Serving()
        self._shares = ForgottenShares(desk.warmth)
        self.trouble: str | None = None

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(INTERVAL)
            try:
                await self._look()
            except Exception as error:
                if (said := in_words(error)) != self.trouble:
                    self.trouble = said
                    unexpected = None if isinstance(error, BluegreenError) else error
                    log.error("not put right: %s", said, exc_info=unexpected)
            else:
                self.trouble = None

    async def _look(self) -> None:
        if not self._traffic.is_open:
            return
        for name, app in list(self._desk.apps.items()):
            app.following.look()
            if not (busy := self._has_work(name)):
                self._serving.look(app)
                await self._shares.end(app)
            await self._desk.failovers.look(app, busy=busy)
        if await self._traffic.revive():
            log.warning("nginx did not serve what it should, and does again")
            for name in list(self._desk.apps):
                await self._note(name, "nginx did not serve, and does again")
        names = list(self._desk.apps)
        for name in await asyncio.to_thread(self._traffic.meddled_with, names):
            if name in self._desk.apps:
                await self._mend_markers(self._desk.apps[name])
        for name in await asyncio.to_thread(self._traffic.held, names):
            if name in self._desk.apps and not self._has_work(name):
                await self._desk.holds.keep(self._desk.apps[name])

    def _has_work(self, app: str) -> bool:
        """Whether an operation on it goes on or is to be settled: a hold may be its."""
        return self._desk.running(app) is not None or bool(self._desk.unsettled.of(app))

    async def _mend_markers(self, app: AppRuntime) -> None:
        async with app.commit:  # no switch is under way: what we saw may have been one
            if not await asyncio.to_thread(self._traffic.meddled_with, [app.name]):
                return
            await self._traffic.agree(app.settings)
        message = f"its traffic markers were meddled with; {app.active or 'no slot'} serves"
        log.warning("%s: %s", app.name, message, extra={"app": app.name})
        await self._note(app.name, message)

    async def _note(self, app: str, message: str) -> None:
        await self._desk.parts.note(app, None, "warning", message=message)
