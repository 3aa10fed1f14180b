"""Holding requests at nginx: they are late then, and none fails."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Collection
from dataclasses import dataclass

from bluegreen.config.settings import AppSettings
from bluegreen.errors import RefusedError, TrafficError, UsageError
from bluegreen.gate.hold_file import LONGEST_HOLD
from bluegreen.layout import Layout
from bluegreen.model import Address, Hold, Slot
from bluegreen.traffic.build import NginxBuild
from bluegreen.traffic.confirmation import Confirmation
from bluegreen.traffic.disk import disk_error
from bluegreen.traffic.gate import Gate
from bluegreen.traffic.holdable import why_not_held
from bluegreen.traffic.plan import Planner

log = logging.getLogger(__name__)

CONFIRMED_WITHIN = 5.0  # seconds until nginx says what a marker says
LET_THROUGH_WITHIN = 60.0  # seconds until the last request that waited has gone on
POLL = 0.01  # seconds


@dataclass(frozen=True, kw_only=True)
class Holding:
    """The holds of all apps of one root."""

    layout: Layout
    build: NginxBuild
    planner: Planner
    confirmation: Confirmation
    gate: Gate

    async def hold(
        self,
        settings: AppSettings,
        *,
        until: float,
        by: str,
        operation: int | None,
        ways: Collection[Slot],
    ) -> Hold:
        """See `TrafficControl.hold`."""
        name = settings.name
        markers = self.planner.markers(name)
        before = await asyncio.to_thread(self._check, settings)
        hold = Hold(
            since=time.time() if before is None else before.since,
            until=until,
            by=by,
            operation=operation,
            addresses={slot: self._addresses(settings, slot) for slot in Slot},
            ways=tuple(ways),
        )
        if not time.time() < until <= hold.since + LONGEST_HOLD:
            raise UsageError(
                f"the requests of {name} cannot be held until then",
                remedy=f"a hold may last {LONGEST_HOLD / 60:g} minutes, all in all",
            )
        await self.gate.be_ready()
        try:
            await asyncio.to_thread(markers.hold, hold)
        except OSError as error:
            raise disk_error(f"the requests of {name} are not held", error) from error
        try:
            await self._confirm(name, held=True)
            await self._confirm_gate(name, hold)
        except TrafficError:
            await self._put_back(name, before)
            raise
        return hold

    async def lift(self, settings: AppSettings) -> Hold:
        """See `TrafficControl.lift_hold`."""
        name = settings.name
        markers = self.planner.markers(name)
        before = await asyncio.to_thread(lambda: markers.held)
        if before is None:
            raise RefusedError(
                f"the requests of {name} are not held", remedy="there is nothing to release"
            )
        try:
            await asyncio.to_thread(markers.release)
        except OSError as error:
            raise disk_error(f"the requests of {name} are held on", error) from error
        return before

    async def until_let_through(self, settings: AppSettings) -> None:
        """See `TrafficControl.until_let_through`."""
        await self._confirm(settings.name, held=False)
        await self._until_none_waits(settings.name)

    def require_holdable(self, settings: AppSettings) -> None:
        """See `TrafficControl.require_holdable`."""
        if (why_not := why_not_held(settings)) is not None:
            raise why_not
        if not self.build.can_hold:
            raise RefusedError(
                f"requests of {settings.name} cannot be held: this nginx was built without "
                "auth_request",
                remedy="install an nginx that has it: Debian's (nginx-light, too) or nginx.org's",
            )

    def _check(self, settings: AppSettings) -> Hold | None:
        """The hold that goes on already. Raises RefusedError, TrafficError. Blocking."""
        name = settings.name
        self.require_holdable(settings)
        traffic = self.planner.traffic(name)
        if traffic.active is None:
            raise RefusedError(
                f"{name} has never been deployed: there is nothing to hold",
                remedy=f"bluegreen deploy {name} VERSION",
            )
        if traffic.closed:
            raise RefusedError(f"{name} is out of service", remedy=f"bluegreen start {name}")
        self.confirmation.expect_served(name)
        return traffic.held

    def _addresses(self, settings: AppSettings, slot: Slot) -> tuple[tuple[Address, ...], ...]:
        run = self.layout.app(settings.name).run
        # No route leads to an exclusive one, which runs in one slot alone.
        gated = (service for service in settings.services.values() if not service.exclusive)
        found = (service.addresses(slot, run) for service in gated)
        return tuple(addresses for addresses in found if addresses)

    async def _confirm(self, app: str, *, held: bool) -> None:
        await self.confirmation.until(
            app,
            lambda answer: answer.app == app and answer.held == held,
            what=f"the requests of {app} are {'held' if held else 'not held any more'}",
            timeout=CONFIRMED_WITHIN,
        )

    async def _confirm_gate(self, app: str, hold: Hold) -> None:
        """It has read the same, and from now on it is its clock that counts."""
        state = await self.gate.ask(app)
        if state.until != hold.until:
            raise TrafficError(
                f"the gate does not see that the requests of {app} are held",
                detail=[f"it says: until {state.until}, not {hold.until}"],
                remedy=self.gate.remedy,
            )

    async def _until_none_waits(self, app: str) -> None:
        deadline = asyncio.get_running_loop().time() + LET_THROUGH_WITHIN
        while True:
            waiting = "some"
            try:
                state = await self.gate.ask(app)
            except TrafficError as error:
                if isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError):
                    # Nobody waits at a gate that is not there.
                    log.warning("%s: %s", app, error.message, extra={"app": app})
                    return
            else:
                if state.waiting == 0:
                    return
                waiting = str(state.waiting)
            if asyncio.get_running_loop().time() >= deadline:
                raise TrafficError(
                    f"{waiting} requests of {app} still wait, though they are not held",
                    remedy=self.gate.remedy,
                )
            await asyncio.sleep(POLL)

    async def _put_back(self, app: str, before: Hold | None) -> None:
        markers = self.planner.markers(app)
        try:
            if before is None:
                await asyncio.to_thread(markers.release)
            else:
                await asyncio.to_thread(markers.hold, before)
        except OSError as error:
            log.error("the hold of %s was not undone: %s", app, error, extra={"app": app})
