"""Failover: a slot that dies between releases is left for the other one, once.

Only where the app file asks for it. What that did once is not done again before somebody has done
something to the app: the history knows it, so a restart of the daemon changes nothing.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError
from bluegreen.health.gate import pass_gate
from bluegreen.health.probing import Probing, with_implied
from bluegreen.health.target import Target
from bluegreen.model import OperationState, Requester, Slot, SlotState, UnitState
from bluegreen.operations.queue import Queue
from bluegreen.operations.runtime import AppRuntime, end_task
from bluegreen.operations.switches import Switches
from bluegreen.processes import tell_if_failed, uninterrupted

log = logging.getLogger(__name__)

FAILOVER = Requester(name="failover", via="watch")
LOOK = 1.0  # seconds between looks at services
GATE_WITHIN = 5.0  # seconds for the standby to answer each probe of the gate
AGAIN_AFTER = 30.0  # seconds from an attempt that moved nothing to the next look
_MOVED_NOTHING = (OperationState.FAILED, OperationState.INTERRUPTED)


@dataclass
class _Guard:
    slot: Slot
    settings: AppSettings  # by which it guards: after a reload, by others
    task: asyncio.Task[None]

    def goes_on(self, app: AppRuntime, wanted: Slot | None) -> bool:
        is_as_wanted = self.slot is wanted and self.settings is app.settings
        return is_as_wanted and not self.task.done()


class Failovers:
    """A guard for each app that asks for it and serves, while nobody works on it."""

    def __init__(self, queue: Queue, switches: Switches) -> None:
        self._queue = queue
        self._switches = switches
        self._guards: dict[str, _Guard] = {}
        self._closed = False
        self._said: dict[str, str] = {}  # why it was not left; not again and again

    async def look(self, app: AppRuntime, *, busy: bool) -> None:
        """Begin or end to guard the slot that serves; asked every two seconds."""
        if self._closed:
            return
        wanted = None if busy else _guarded(app)
        guard = self._guards.get(app.name)
        if guard is not None and not guard.goes_on(app, wanted):
            await self.forget(app.name)
            guard = None
        if guard is None and wanted is not None:
            task = asyncio.create_task(
                self._guard(app, wanted), name=f"failover of {app.name} {wanted}"
            )
            task.add_done_callback(tell_if_failed)
            self._guards[app.name] = _Guard(wanted, app.settings, task)

    async def forget(self, app: str) -> None:
        guard = self._guards.pop(app, None)
        await end_task(None if guard is None else guard.task)

    async def close(self) -> None:
        self._closed = True  # whoever looks every two seconds ends later
        for app in list(self._guards):
            await self.forget(app)

    async def _guard(self, app: AppRuntime, slot: Slot) -> None:
        if not await _was_by_itself(app):
            logs = app.layout.operation_logs(app.slots[slot].operation or 0)
            target = await asyncio.to_thread(app.target, slot, logs, whole=True)
            why = await _until_dying(app, target)
            leaving = self._leave_if_possible(app, slot, why)
            await uninterrupted(leaving, name=f"failover of {app.name} from {slot}")
        await asyncio.sleep(AGAIN_AFTER)

    async def _leave_if_possible(self, app: AppRuntime, slot: Slot, why: str) -> None:
        try:
            await self._leave(app, slot, why)
        except (BluegreenError, TimeoutError) as error:
            said = error.message if isinstance(error, BluegreenError) else "it does not answer"
            message = f"{slot} is dying ({why}), and is not left: {said}"
            if self._said.get(app.name) != message:
                self._said[app.name] = message
                await self._say(app, None, message)
        else:
            self._said.pop(app.name, None)

    async def _leave(self, app: AppRuntime, slot: Slot, why: str) -> None:
        """Raises BluegreenError or TimeoutError where the standby may not take over."""
        standby = slot.other
        if await app.parts.supervisor.is_host_ending():
            return
        logs = app.layout.operation_logs(app.slots[standby].operation or 0)
        target = await asyncio.to_thread(app.target, standby, logs)
        async with asyncio.timeout(GATE_WITHIN):
            await pass_gate(target, app.settings.gate, healthy_for=0.0, on_result=lambda _: None)
        switched = await self._switches.fail_over(app, FAILOVER)
        number = None if switched.operation is None else switched.operation.id
        message = (
            f"{slot} was dying ({why}) and was left for {switched.to} by itself, which is done "
            f"once; see why, and mend it: bluegreen status {app.name}"
        )
        await self._say(app, number, message)

    async def _say(self, app: AppRuntime, operation: int | None, message: str) -> None:
        log.error("%s: %s", app.name, message, extra={"app": app.name})
        await app.parts.note(app.name, operation, "warning", message=message)


def _guarded(app: AppRuntime) -> Slot | None:
    """The slot that is looked after: it serves and has come up, and the other one is ready."""
    if not app.settings.watch.failover:
        return None
    traffic = app.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed or traffic.held is not None:
        return None
    is_up = app.slots[traffic.active].state is SlotState.HOT
    return traffic.active if is_up and app.is_ready(traffic.active.other) else None


async def _was_by_itself(app: AppRuntime) -> bool:
    """Whether the last that was done to the app was a failover; one that moved nothing is none."""
    if app.unrecorded:  # a full disk has kept it out of the history so far
        latest = app.unrecorded[-1]
        return latest.by == FAILOVER and latest.error is None
    last = await app.parts.store.operations(app=app.name, limit=1)
    return bool(last) and last[0].requested_by == FAILOVER and last[0].state not in _MOVED_NOTHING


async def _until_dying(app: AppRuntime, target: Target) -> str:
    """Wait for it; in words, what it dies of. What somebody has stopped by hand is not dying."""
    watch, supervisor = app.settings.watch, app.parts.supervisor
    keys = target.keys(target.services)
    before = {key: supervisor.status(key).restarts for key in keys}
    asked = with_implied(target, app.settings.watch_probes)
    async with Probing(
        target, asked, pause=lambda _: watch.interval, on_result=lambda _: None
    ) as probing:
        while True:
            await probing.changed(LOOK)
            statuses = [supervisor.status(key) for key in keys]
            if any(status.state is UnitState.STOPPED for status in statuses):
                continue
            for status in statuses:
                if (times := status.restarts - before[status.key]) >= watch.failures:
                    return f"service {target.name(status.key)} was started again {times} times"
            for track in probing.tracks:
                if track.failures_in_a_row >= watch.failures and track.last_failure is not None:
                    return (
                        f"service {track.name}: {track.probe.label}: "
                        f"{track.last_failure.answer}, {track.failures_in_a_row} times in a row"
                    )
