"""Requests that are held by hand: begun, ended, and ended at their limit whoever forgets them."""

from __future__ import annotations

import asyncio
import logging
import time

from bluegreen.errors import BluegreenError, BusyError, RefusedError, TrafficError
from bluegreen.model import Hold, Requester
from bluegreen.operations.runtime import AppRuntime, end_task
from bluegreen.processes import tell_if_failed
from bluegreen.store.operations import clock_time

log = logging.getLogger(__name__)

RETRY = 2.0  # seconds between attempts to end a hold whose time is over


def refuse_if_held(app: AppRuntime) -> None:
    """Raises BusyError while requests are held by hand, with who does, since when and how long."""
    held = app.parts.traffic.read(app.name).held
    if held is not None and held.operation is None:
        raise BusyError(
            f"requests of {app.name} are held by {held.by}, since {clock_time(held.since)}, until "
            f"{clock_time(held.until)} at the latest",
            remedy=f"let them through first: bluegreen release {app.name}",
        )


class Holds:
    """The holds of all apps, each with the task that ends it at its limit."""

    def __init__(self) -> None:
        self._ends: dict[str, tuple[Hold, asyncio.Task[None]]] = {}

    async def hold(self, app: AppRuntime, seconds: float, by: Requester) -> Hold:
        """Hold the app's requests by hand, or until another time. Raises as the traffic does."""
        async with app.commit:
            traffic = app.parts.traffic.read(app.name)
            if traffic.held is not None and traffic.held.operation is not None:
                raise BusyError(
                    f"requests of {app.name} are held by operation {traffic.held.operation}",
                    remedy=f"see it: bluegreen status {app.name}",
                )
            idle = app.idle
            hold = await app.parts.traffic.hold(
                app.settings, until=time.time() + seconds, by=by.name,
                ways=[idle] if app.is_ready(idle) else [],
            )  # fmt: skip
        await self._end_later(app, hold)
        await app.parts.note(app.name, None, "traffic", held_until=hold.until, by=by.name)
        return hold

    async def release(self, app: AppRuntime, by: Requester) -> tuple[Hold, tuple[str, ...]]:
        """Let the requests through that are held by hand; what held them, and warnings.

        Once it is lifted the hold is over, also where nobody confirms that. Raises RefusedError,
        and TrafficError with the requests still held.
        """
        async with app.commit:
            held = app.parts.traffic.read(app.name).held
            if held is not None and held.operation is not None:
                raise RefusedError(
                    f"requests of {app.name} are held by operation {held.operation}",
                    remedy=f"it releases them; or end it: bluegreen cancel {app.name}",
                )
            hold = await app.parts.traffic.lift_hold(app.settings)
        await self.forget(app.name)
        await app.parts.note(app.name, None, "traffic", released=time.time(), by=by.name)
        return hold, await until_let_through(app)

    async def keep(self, app: AppRuntime) -> None:
        """See that the hold of an app ends: after a start of the daemon, nobody else does.

        To be called of what no operation holds that is still to end or to be settled.
        """
        held = app.parts.traffic.read(app.name).held
        if held is None:
            return
        ends, task = self._ends.get(app.name, (None, None))
        if ends != held or task is None or task.done():
            await self._end_later(app, held)

    async def forget(self, app: str) -> None:
        """Its hold is over, or the app is gone."""
        _, task = self._ends.pop(app, (None, None))
        await end_task(task)

    async def close(self) -> None:
        """Holds go on; the next daemon ends them, or else the gate lets requests through."""
        for app in list(self._ends):
            await self.forget(app)

    async def _end_later(self, app: AppRuntime, hold: Hold) -> None:
        await self.forget(app.name)
        task = asyncio.create_task(self._end(app, hold), name=f"end of the hold of {app.name}")
        task.add_done_callback(tell_if_failed)
        self._ends[app.name] = hold, task

    async def _end(self, app: AppRuntime, hold: Hold) -> None:
        await asyncio.sleep(max(0.0, hold.until - time.time()))
        while True:
            try:
                async with app.commit:
                    if app.parts.traffic.read(app.name).held != hold:
                        return  # it is over, or by now another one, which has its own end
                    await app.parts.traffic.lift_hold(app.settings)
            except BluegreenError as error:
                log.error("%s: %s", app.name, error.message, extra={"app": app.name})
                await asyncio.sleep(RETRY)
            else:
                break
        await until_let_through(app)
        held = max(0.0, time.time() - hold.since)  # a clock may have been set back
        message = f"its requests were held for {held:.0f} s, and let through"
        log.warning("%s: %s", app.name, message, extra={"app": app.name})
        await app.parts.note(app.name, None, "warning", message=message)


async def until_let_through(app: AppRuntime) -> tuple[str, ...]:
    """Wait until none waits, without the lock: a switch need not. Warnings where that is not known.

    Another hold may have begun by then.
    """
    try:
        await app.parts.traffic.until_let_through(app.settings)
    except TrafficError as error:
        if app.parts.traffic.read(app.name).held is not None:
            return ()
        log.warning("%s: %s", app.name, error.message, extra={"app": app.name})
        return (f"{error.message}; {error.remedy}",)
    return ()
