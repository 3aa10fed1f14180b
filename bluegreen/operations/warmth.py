"""Slots beside the active one: warmed up after a restart or a failed deploy, cooled in time."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from bluegreen.errors import BluegreenError
from bluegreen.health.gate import pass_gate
from bluegreen.model import Slot, SlotState
from bluegreen.operations.phases.settle import keep_for_a_while
from bluegreen.operations.runtime import AppRuntime, cold

log = logging.getLogger(__name__)


class Warmth:
    """At most one task an app for each of the two."""

    def __init__(self) -> None:
        self._warming: dict[str, asyncio.Task[None]] = {}
        self._cooling: dict[str, asyncio.Task[None]] = {}

    async def warm(self, app: AppRuntime, slot: Slot) -> None:
        """Start the idle slot's services again; once its probes pass, a switch is instant."""
        await self.stop_warming(app.name)
        self._warming[app.name] = asyncio.create_task(
            self._warm(app, slot), name=f"warm up {app.name} {slot}"
        )

    async def stop_warming(self, app: str) -> None:
        await _end(self._warming.pop(app, None))

    async def schedule_cooling(self, app: AppRuntime) -> None:
        """Stop the idle slot's services when its hot time is over."""
        await self.stop_cooling(app.name)
        idle = app.idle
        until = app.slots[idle].hot_until
        if until is not None:
            self._cooling[app.name] = asyncio.create_task(
                self._cool(app, idle, until), name=f"cool {app.name} {idle}"
            )

    async def stop_cooling(self, app: str) -> None:
        await _end(self._cooling.pop(app, None))

    async def close(self) -> None:
        for app in [*self._warming]:
            await self.stop_warming(app)
        for app in [*self._cooling]:
            await self.stop_cooling(app)

    async def _warm(self, app: AppRuntime, slot: Slot) -> None:
        was = app.slots[slot]
        starting = replace(was, state=SlotState.STARTING, gated_by=None)
        try:
            await app.save_slot(starting)
            await app.start_services(slot)
            logs = app.layout.operation_logs(was.operation or 0)
            await pass_gate(
                await asyncio.to_thread(app.target, slot, logs),
                app.settings.gate, healthy_for=0.0, on_result=lambda _: None,
            )  # fmt: skip
            async with app.commit:
                if app.slots[slot] != starting:
                    return
                app.has_passed_gate(slot)
                await app.save_slot(replace(starting, state=SlotState.HOT, gated_by=was.operation))
            await keep_for_a_while(app)
            await self.schedule_cooling(app)
        except BluegreenError as error:
            log.warning("%s: %s is not kept hot: %s", app.name, slot, error.message)
            await app.parts.note(
                app.name, None, "warning", message=f"{slot} is not kept hot: {error.message}"
            )
            await app.stop_services(slot)
            await app.save_slot(cold(was))

    async def _cool(self, app: AppRuntime, slot: Slot, until: float) -> None:
        # Monotonic from here on: a jump of the wall clock moves nothing.
        await asyncio.sleep(max(0.0, until - time.time()))
        async with app.commit:
            record = app.slots[slot]
            if app.active is slot or record.state is not SlotState.HOT or record.hot_until != until:
                return
            await app.save_slot(cold(record))
        await app.stop_services(slot)
        await app.parts.note(
            app.name, None, "service", slot=slot, message=f"{slot} was kept hot for its time"
        )


async def _end(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended with an error", task.get_name(), exc_info=error)
