"""What the daemon holds of each app while it runs, and the parts that everything shares."""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bluegreen.config.environment import (
    service_environment,
)
from bluegreen.config.placeholders import slot_values
from bluegreen.config.settings import AppSettings
from bluegreen.data.backups import Backups
from bluegreen.data.programs import Programs
from bluegreen.errors import StoreError
from bluegreen.health.target import Target
from bluegreen.instances import unit_keys
from bluegreen.layout import AppLayout
from bluegreen.model import (
    ServiceUnit,
    Slot,
    SlotRecord,
    SlotState,
    UnitKey,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.definition import unit_of
from bluegreen.operations.following import Following
from bluegreen.operations.parts import Parts
from bluegreen.operations.slot_view import SlotView
from bluegreen.operations.unwritten import end_promise
from bluegreen.slots.trees import Looks, Trees
from bluegreen.sources.interface import Source
from bluegreen.sources.open import open_source
from bluegreen.traffic.replaced import can_serve_again

if TYPE_CHECKING:
    from bluegreen.operations.switching import Attempt

log = logging.getLogger(__name__)


LAST_REQUESTS = 1.0  # seconds between traffic leaving a slot and its services being told to end


@dataclass
class AppRuntime:
    """One app: its settings in force, what its slots hold, and who may move its traffic."""

    settings: AppSettings
    parts: Parts
    slots: dict[Slot, SlotRecord]
    # Held for the milliseconds in which traffic moves, and by whoever decides on what it saw.
    commit: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Held while an operation is let in, so that two requests cannot both find the app free.
    admission: asyncio.Lock = field(default_factory=asyncio.Lock)
    # Held while a plan looks at a tree of that name.
    looking: Looks = field(default_factory=Looks)
    warming: asyncio.Task[None] | None = None  # see Warmth, and Serving
    removed: bool = False  # its file is gone, and a reload has taken that up
    # Switches that a full disk has kept out of the history so far, the oldest first.
    unrecorded: list[Attempt] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)
    _traffic_left: dict[Slot, float] = field(default_factory=dict)  # by the monotonic clock
    _restarts_at_gate: dict[UnitKey, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.settings.name

    @functools.cached_property
    def layout(self) -> AppLayout:  # asked for at every look: paths take their time
        return self.parts.layout.app(self.name)

    @functools.cached_property
    def following(self) -> Following:
        """What moves the exclusive services after the traffic."""
        return Following(self)

    @property
    def trees(self) -> Trees:
        return Trees(self.settings, self.layout, self.parts.supervisor, self.looking)

    @property
    def backups(self) -> Backups:
        """Its data; commands run as the active release would, or in the shared directory."""
        slot = self.active or self.idle
        held = self.slots[slot]
        programs = Programs(
            settings=self.settings, layout=self.layout, jobs=self.parts.supervisor, slot=slot,
            version=held.version or "", tree=held.tree or self.layout.shared,
        )  # fmt: skip
        return Backups(programs=programs, remedies=self.parts.layout.remedies, version=held.version)

    @property
    def source(self) -> Source:
        return open_source(self.settings, self.layout)

    @property
    def active(self) -> Slot | None:
        """The slot that gets the traffic, from the marker."""
        return self.parts.traffic.read(self.name).active

    @property
    def idle(self) -> Slot:
        """The slot that the next release goes into."""
        active = self.active
        return Slot.BLUE if active is None else active.other

    def keys(self, slot: Slot) -> list[UnitKey]:
        """Every unit known of a slot, also of services that the app file no longer names."""
        known = self.unit_keys(slot, self.settings.services)
        others = [
            key
            for key in self.parts.supervisor.units()
            if key.app == self.name and key.slot is slot and key not in known
        ]
        return known + others

    def instances(self, slot: Slot, service: str) -> int:
        """As many as the slot was started with; where it was not, as the app file asks for."""
        started = self.slots[slot].services.get(service)
        return self.settings.services[service].instances if started is None else started

    def unit_keys(self, slot: Slot, services: Iterable[str]) -> list[UnitKey]:
        """The instances of ``services`` in a slot."""
        return unit_keys(self.name, slot, {name: self.instances(slot, name) for name in services})

    def services(self, slot: Slot) -> tuple[str, ...]:
        """What the slot's release was started with, of what the app file still names.

        What the app file names since then comes when the slot is next started by an operation,
        through its gate.
        """
        held = self.slots[slot].services
        return tuple(name for name in self.settings.services if not held or name in held)

    def gated_services(self, slot: Slot) -> tuple[str, ...]:
        """Of `services`, what runs in the slot whether or not it has the traffic."""
        exclusive = self.exclusive(slot)
        return tuple(name for name in self.services(slot) if name not in exclusive)

    def exclusive(self, slot: Slot) -> frozenset[str]:
        """What of the slot runs in one slot alone: as it was started, or by the app file since."""
        return self.settings.exclusive.union(self.slots[slot].exclusive or ())

    def lacks(self, slot: Slot) -> tuple[str, ...]:
        """What the app file routes requests to, and the slot's release was started without."""
        held, routed = self.slots[slot].services, {one.service for one in self.settings.routes}
        return tuple(
            name for name in self.settings.services if held and name in routed and name not in held
        )

    def is_ready(self, slot: Slot) -> bool:
        """Whether traffic may go there this instant: proved, and there is all that routes name."""
        return self.is_proved(slot) and not self.lacks(slot)

    def is_proved(self, slot: Slot) -> bool:
        """Whether what the slot was started with has passed a gate, and runs ever since."""
        return self.slots[slot].state is SlotState.HOT and all(
            status.state is UnitState.RUNNING
            and status.restarts == self._restarts_at_gate.get(status.key, 0)
            for status in self._statuses(slot)
        )

    def is_running(self, slot: Slot) -> bool:
        """Whether every service of the slot runs, gated or not."""
        return all(status.state is UnitState.RUNNING for status in self._statuses(slot))

    def is_stopped(self, slot: Slot) -> bool:
        """Whether a service of the slot was stopped, or is being: not what starts again itself."""
        stopped = (UnitState.STOPPED, UnitState.STOPPING)
        return any(status.state in stopped for status in self._statuses(slot))

    def is_paused(self, slot: Slot) -> bool:
        """Whether an operation has it stopped while requests wait: on purpose, so it is not ill."""
        if not self.is_stopped(slot):
            return False  # first: of what runs, every page looks, and markers are on the disk
        held = self.parts.traffic.read(self.name).held
        return held is not None and held.operation is not None and time.time() < held.until

    def has_passed_gate(self, slot: Slot) -> None:
        """Remember how often each service had been restarted when the slot passed its gate."""
        self._restarts_at_gate.update(
            {status.key: status.restarts for status in self._statuses(slot)}
        )

    def _statuses(self, slot: Slot) -> list[UnitStatus]:
        # Of the services it was started with: those of the app file may be others by now.
        names = self.slots[slot].services or tuple(self.settings.services)
        exclusive = self.exclusive(slot)
        gated = (name for name in names if name not in exclusive)
        return [self.parts.supervisor.status(key) for key in self.unit_keys(slot, gated)]

    async def save_slot(self, record: SlotRecord) -> None:
        # What is so is so, also where the disk is too full to write it down.
        self.slots[record.slot] = record
        await self.parts.store.save_slot(record)

    async def keep_slot(self, record: SlotRecord) -> None:
        """As `save_slot`, where a store that fails may not hinder what is being put right.

        An operation's outcome records both slots once more.
        """
        try:
            await self.save_slot(record)
        except StoreError as error:
            log.warning(
                "%s: what %s holds is not recorded: %s", self.name, record.slot, error.message,
                extra={"app": self.name},
            )  # fmt: skip

    def unit(self, key: UnitKey, record: SlotRecord) -> ServiceUnit:
        """The unit of an instance of the release in ``record``. Reads secret files: blocking."""
        return unit_of(self.settings, self.layout, key, record)

    def units(self, slot: Slot) -> list[ServiceUnit]:
        """The units that pass the slot's gate. Reads secret files: blocking."""
        record = self.slots[slot]
        keys = self.unit_keys(slot, self.gated_services(slot))
        return [self.unit(key, record) for key in keys]

    async def start_services(self, slot: Slot) -> None:
        """Start every service of a slot that does not run yet. Raises SupervisorError.

        But for exclusive ones, which come with the traffic.
        """
        units = await asyncio.to_thread(self.units, slot)
        # What runs is left alone, also where the app file would start it otherwise by now.
        idle = [
            unit
            for unit in units
            if self.parts.supervisor.status(unit.key).state is not UnitState.RUNNING
        ]
        await together([self.parts.supervisor.start(unit) for unit in idle])

    async def move_traffic(self, to: Slot) -> tuple[str, ...]:
        """Traffic to ``to``; the caller holds ``commit``. Returns warnings; raises TrafficError."""
        if self.is_running(to.other):
            # It serves, whatever has restarted in it before: the way back to it is open.
            self.has_passed_gate(to.other)
        warnings = await self.parts.traffic.switch(self.settings, to)
        self._traffic_left[to.other] = time.monotonic()
        self.following.look(at_once=True)
        return warnings + self.following.left_behind(to)

    async def end_share(self) -> tuple[str, ...]:
        """All clients to the active slot; the caller holds ``commit``. Warnings; TrafficError."""
        warnings = await self.parts.traffic.end_share(self.settings)
        self._traffic_left[self.idle] = time.monotonic()
        return warnings

    async def set_closed(self, closed: bool, *, in_any_case: bool = False) -> None:
        """Out of service, or into it; the caller holds ``commit``. Raises TrafficError.

        ``in_any_case``, as a marker says it, also where nginx does not confirm that.
        """
        if not closed:
            await end_promise(self.layout)
        await self.parts.traffic.set_closed(self.settings, closed, in_any_case=in_any_case)
        if closed:
            self._traffic_left = dict.fromkeys(Slot, time.monotonic())
        self.following.look(at_once=True)

    async def hand_back(self) -> bool:
        """Traffic to what served before the first release; the caller holds ``commit``.

        False if there is no such thing, or if it does not run any more. Raises TrafficError.
        """
        if not await can_serve_again(self.settings):
            return False
        await self.parts.traffic.hand_back(self.settings)
        self._traffic_left = dict.fromkeys(Slot, time.monotonic())
        self.following.look(at_once=True)
        return True

    async def stop_warming(self) -> None:
        """Give up warming the idle slot up, or starting what serves, if that is going on."""
        task, self.warming = self.warming, None
        await end_task(task)

    async def close(self) -> None:
        """Leave all as it is: the next daemon looks again."""
        await self.stop_warming()
        await self.following.close()

    async def stop_services(self, slot: Slot, *, at_once: bool = False) -> None:
        """Stop every service of a slot that has no traffic; fine if none runs.

        What nginx sent there just before traffic left may not be read yet, and a service that is
        told to end closes the connections on which it has read nothing: so not ``at_once``, unless
        the caller knows better.
        """
        if not at_once:
            left = self._traffic_left.get(slot, self._since)
            await asyncio.sleep(max(0.0, left + LAST_REQUESTS - time.monotonic()))
        async with self.following.lock:
            await together([self.parts.supervisor.stop(key) for key in self.keys(slot)])

    async def put_to_rest(self, slot: Slot, *, at_once: bool = False) -> None:
        """Stop every service of a slot, and call it cold; see `stop_services`."""
        await self.stop_services(slot, at_once=at_once)
        await self.keep_slot(cold(self.slots[slot]))

    def target(self, slot: Slot, logs: Path, *, whole: bool = False) -> Target:
        """The slot as its gate sees it; ``whole``: as a watch does, with its exclusive services.

        Reads secret files: blocking.
        """
        record = self.slots[slot]
        names = tuple(self.settings.services)
        version, tree = record.version or "", record.tree or self.layout.trees
        return Target(
            app=self.name,
            slot=slot,
            version=version,
            services=self.services(slot) if whole else self.gated_services(slot),
            view=self.view(slot),
            values={
                name: slot_values(
                    self.settings, self.layout, slot, version=version, tree=tree, service=name
                )
                for name in names
            },
            tree=tree,
            environment={
                name: service_environment(
                    self.settings, self.layout, slot, name, version=version, tree=tree
                )
                for name in names
            },
            jobs=self.parts.supervisor,
            logs=logs,
        )

    def view(self, slot: Slot) -> SlotView:
        return SlotView(
            settings=self.settings, supervisor=self.parts.supervisor, run_dir=self.layout.run,
            slot=slot, instances=functools.partial(self.instances, slot),
        )  # fmt: skip

    def referenced_trees(self) -> set[Path]:
        return {record.tree for record in self.slots.values() if record.tree is not None}

    async def needed_trees(self) -> set[Path]:
        """Those in slots, and those that alone know how to undo a migration that is applied.

        What comes after a release knows its migrations too, but for those of one that has failed.
        """
        latest = max((record.operation or 0 for record in self.slots.values()), default=0)
        applied = await self.parts.store.migrations.applied(self.name)
        return self.referenced_trees() | {
            one.place.tree for one in applied if not one.succeeded or one.operation > latest
        }


async def together(calls: Iterable[Coroutine[Any, Any, object]]) -> None:
    """Run all to their end, then raise the first error there was."""
    for result in await asyncio.gather(*calls, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


async def end_task(task: asyncio.Task[None] | None) -> None:
    """Cancel a task of ours and wait for its end; what it failed with is logged."""
    if task is not None and task is not asyncio.current_task():
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("%s ended with an error", task.get_name(), exc_info=error)


def cold(record: SlotRecord) -> SlotRecord:
    """The same release, not running and so not gated."""
    if record.version is None:
        return SlotRecord(app=record.app, slot=record.slot)
    return replace(record, state=SlotState.COLD, gated_by=None, hot_until=None)
