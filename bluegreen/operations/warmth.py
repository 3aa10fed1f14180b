"""Slots beside the active one: warmed up after a restart or a failed deploy, cooled in time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from bluegreen.errors import BluegreenError
from bluegreen.health.gate import pass_gate
from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.operations.draining import UnseenError, cut_in_words, let_end
from bluegreen.operations.last_requests import all_read
from bluegreen.operations.phases.settle import keep_for_a_while
from bluegreen.operations.runtime import AppRuntime, cold, end_task
from bluegreen.processes import tell_if_failed, uninterrupted

log = logging.getLogger(__name__)


class Warmth:
    """At most one task an app for each of the two; a slot's hot time is a timer."""

    def __init__(self) -> None:
        self._hot: dict[str, asyncio.TimerHandle] = {}  # until their time is over
        self._cooling: dict[str, asyncio.Task[None]] = {}
        self._over: dict[str, float] = {}  # the time that was over as it began to cool
        self._stopping: set[asyncio.Task[None]] = set()

    async def keep(self, app: AppRuntime) -> None:
        """Warm the idle slot up if it is to be hot and is not; cool it when its time is over."""
        traffic = app.parts.traffic.read(app.name)
        if traffic.active is None or traffic.closed:
            return
        idle = app.slots[traffic.active.other]
        if not app.settings.app.overlap:
            await self.keep_apart(app)
            return
        over = idle.hot_until is not None and idle.hot_until <= time.time()
        to_be_hot = idle.state in (SlotState.HOT, SlotState.STARTING) and not over
        if to_be_hot and not app.is_proved(idle.slot) and app.warming is None:
            app.warming = asyncio.create_task(
                self._warm(app, idle.slot), name=f"warm up {app.name} {idle.slot}"
            )
            app.warming.add_done_callback(tell_if_failed)
        await self.schedule_cooling(app, idle.slot)

    async def keep_apart(self, app: AppRuntime) -> None:
        """End what runs beside the active slot, where two versions are never to run at once.

        An app file may say so since the other one was left hot.
        """
        traffic = app.parts.traffic.read(app.name)
        if app.settings.app.overlap or traffic.active is None:
            return
        idle = app.slots[traffic.active.other]
        if idle.state in (SlotState.HOT, SlotState.STARTING):
            await self.stop_cooling(app.name)
            task = asyncio.create_task(self._end(app, idle), name=f"stop {app.name} {idle.slot}")
            task.add_done_callback(tell_if_failed)
            self._cooling[app.name] = task

    async def _end(self, app: AppRuntime, idle: SlotRecord) -> None:
        await app.stop_warming()
        slot, now = idle.slot, app.slots[idle.slot]
        await all_read(app, slot)
        async with app.commit:
            if app.active is slot or app.slots[slot] != now:
                return  # an operation has taken it
            stopping = await self._put_to_rest(app, now)
        await asyncio.shield(stopping)
        message = f"{slot} is stopped: two versions of {app.name} never run at once"
        await app.parts.note(app.name, None, "service", slot=slot, message=message)

    async def schedule_cooling(self, app: AppRuntime, idle: Slot) -> None:
        """Stop the services of ``idle``, which has no traffic, when its hot time is over."""
        until, cooling = app.slots[idle].hot_until, self._cooling.get(app.name)
        if until == self._over.get(app.name) and cooling is not None and not cooling.done():
            return  # what is under way there has its time once
        await self.stop_cooling(app.name)
        if until is not None:
            # Monotonic from here on: a jump of the wall clock moves nothing.
            self._hot[app.name] = asyncio.get_running_loop().call_later(
                max(0.0, until - time.time()), self._begin_to_cool, app, idle, until
            )

    def _begin_to_cool(self, app: AppRuntime, slot: Slot, until: float) -> None:
        del self._hot[app.name]
        self._over[app.name] = until
        task = asyncio.create_task(self._cool(app, slot, until), name=f"cool {app.name} {slot}")
        task.add_done_callback(tell_if_failed)
        self._cooling[app.name] = task

    async def stop_cooling(self, app: str) -> None:
        if (timer := self._hot.pop(app, None)) is not None:
            timer.cancel()
        self._over.pop(app, None)
        await end_task(self._cooling.pop(app, None))

    async def close(self) -> None:
        for app in {*self._hot, *self._cooling}:
            await self.stop_cooling(app)
        stopping = [*self._stopping]
        for task in stopping:
            task.cancel()  # what was told to end does so all the same
        await asyncio.gather(*stopping, return_exceptions=True)

    async def _put_to_rest(self, app: AppRuntime, record: SlotRecord) -> asyncio.Task[None]:
        """Call a slot cold and have it stopped: both or, cancelled before, neither.

        The caller holds ``commit``, so whatever starts there next comes after; and has seen to it
        that what was sent there is read. Returns the stop, which nobody is to cancel.
        """
        return await uninterrupted(self._rest(app, record), name=f"rest of {app.name}")

    async def _rest(self, app: AppRuntime, record: SlotRecord) -> asyncio.Task[None]:
        await app.keep_slot(cold(record))
        stopping = app.stop_services(record.slot, at_once=True)
        return self._stop(stopping, name=f"stop {app.name} {record.slot}")

    def _stop(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        stopping = asyncio.create_task(work, name=name)
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)
        stopping.add_done_callback(tell_if_failed)
        return stopping

    async def _warm(self, app: AppRuntime, slot: Slot) -> None:
        """Start the idle slot's services again; once its probes pass, a switch is instant."""
        was = app.slots[slot]
        starting = replace(was, state=SlotState.STARTING, gated_by=None)
        try:
            await app.keep_slot(starting)
            await app.start_services(slot)
            logs = app.layout.operation_logs(was.operation or 0)
            await pass_gate(
                await asyncio.to_thread(app.target, slot, logs),
                app.settings.gate, healthy_for=0.0, on_result=lambda _: None,
            )  # fmt: skip
            await self._make_hot(app, starting)
        except BluegreenError as error:
            await self._give_up(app, starting, error.message)
        except Exception as error:
            await self._give_up(app, starting, f"unexpected {type(error).__name__}: {error}")
            raise
        finally:
            if app.warming is asyncio.current_task():
                app.warming = None

    def end_refused(self, app: AppRuntime, slot: Slot) -> None:
        """Begin to stop what still runs in a cold slot: it had clients when it was refused."""
        self._stop(self._end_refused(app, slot), name=f"stop {app.name} {slot}, which was refused")

    async def _end_refused(self, app: AppRuntime, slot: Slot) -> None:
        await all_read(app, slot)
        async with app.commit:
            record = app.slots[slot]
            if app.active is slot or record.state is not SlotState.COLD:
                return  # an operation has taken it
            stopping = await self._put_to_rest(app, record)
        await asyncio.shield(stopping)

    async def _make_hot(self, app: AppRuntime, starting: SlotRecord) -> None:
        async with app.commit:
            if app.slots[starting.slot] != starting:
                return
            app.has_passed_gate(starting.slot)
            await app.keep_slot(replace(starting, state=SlotState.HOT, gated_by=starting.operation))
        await keep_for_a_while(app)
        await self.schedule_cooling(app, app.idle)

    async def _give_up(self, app: AppRuntime, starting: SlotRecord, why: str) -> None:
        slot = starting.slot
        await all_read(app, slot)
        async with app.commit:
            if app.active is slot or app.slots[slot] != starting:
                return
            stopping = await self._put_to_rest(app, starting)
        log.warning("%s: %s is not kept hot: %s", app.name, slot, why, extra={"app": app.name})
        await app.parts.note(app.name, None, "warning", message=f"{slot} is not kept hot: {why}")
        await asyncio.shield(stopping)

    async def _cool(self, app: AppRuntime, slot: Slot, until: float) -> None:
        message = f"{slot} was kept hot for its time"

        async def waits(what: str) -> None:
            log.info("%s: %s, and waits for %s", app.name, message, what, extra={"app": app.name})

        try:
            if cut := await let_end(app, [slot], on_wait=waits):
                message += f"; {cut_in_words(app, cut)}"
        except UnseenError as error:
            message += f"; what was under way could not be seen, and was not waited for: {error}"
        await all_read(app, slot)
        async with app.commit:
            record = app.slots[slot]
            if app.active is slot or record.hot_until != until:
                return
            # One that was to be warmed up again and is not: its time was over before that.
            given_up = record.state is SlotState.STARTING and app.warming is None
            if record.state is not SlotState.HOT and not given_up:
                return
            stopping = await self._put_to_rest(app, record)
        await asyncio.shield(stopping)
        log.info("%s: %s", app.name, message, extra={"app": app.name})
        await app.parts.note(app.name, None, "service", slot=slot, message=message)
