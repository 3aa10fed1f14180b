"""Services and jobs as units of systemd, which goes on when the daemon does not.

Unit files are written by `bluegreen apply`; here they are started, stopped and listened to. The
definition of a service is its unit file and the version in its slot's mark (``wanted/SLOT``).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from bluegreen.config.secrets import redact
from bluegreen.errors import BluegreenError, SupervisorError
from bluegreen.layout import Layout
from bluegreen.model import Job, JobResult, ServiceUnit, Slot, UnitKey, UnitState, UnitStatus
from bluegreen.processes import uninterrupted
from bluegreen.supervisors import cgroups, journal, wanted
from bluegreen.supervisors.exec_failures import NO_GROUP
from bluegreen.supervisors.interface import never_started
from bluegreen.supervisors.systemd_bus import (
    LOST,
    MANAGER,
    PROPERTIES,
    UNIT,
    RefusedBySystemdError,
    Systemd,
    unless_gone,
)
from bluegreen.supervisors.systemd_errors import (
    not_adopted,
    not_started,
    outlives,
    unfit_unit,
    unmarked,
)
from bluegreen.supervisors.systemd_jobs import end_leftovers, run_job
from bluegreen.supervisors.systemd_unit import (
    AT_REST,
    WatchedUnit,
    exit_status,
    is_older,
    is_waiting,
)
from bluegreen.supervisors.unit_names import PREFIX, service_unit

logger = logging.getLogger(__name__)

SLACK = 20.0  # seconds that systemd may take beyond a unit's own timeouts
LONGEST = 600.0  # seconds to wait for a unit that has no timeout
ORPHAN_STOP_TIMEOUT = 5.0  # seconds to wait, at a daemon's start, for what is no longer wanted
# A control group that is still being cleared of the processes before cannot be entered.
NO_GROUP_PATIENCE, NO_GROUP_DELAY = 5.0, 0.1  # seconds: in all, and between attempts
REFUSAL_LINES = 8  # of the log, shown when a service does not start
_FOREVER = 2**64 - 1  # systemd's infinity, in microseconds


class SystemdSupervisor:
    """The `Supervisor` of a systemd host. ``close`` it in the loop it was opened in."""

    def __init__(self, layout: Layout, *, bus_address: str | None = None) -> None:
        self.on_change: Callable[[UnitStatus], None] | None = None
        self._layout = layout
        self._systemd = Systemd(bus_address)
        self._units: dict[UnitKey, WatchedUnit] = {}
        self._jobs: dict[str, str] = {}  # the units of running jobs, by the jobs' names
        self._turns: dict[UnitKey, asyncio.Lock] = {}
        self._marks = asyncio.Lock()
        self._stops: dict[UnitKey, asyncio.Task[bool]] = {}  # the latest of each, to be joined
        self._stopping: set[asyncio.Task[bool]] = set()

    async def open(self, units: Sequence[ServiceUnit]) -> None:
        """See `Supervisor.open`. Raises SupervisorError where systemd cannot be asked."""
        await self._systemd.open()
        keys = {unit.key for unit in units}
        await asyncio.gather(*(self._adopt(key) for key in keys))
        slots = {(key.app, key.slot) for key in keys}
        try:
            await asyncio.to_thread(wanted.remove_others, self._layout, slots)
        except OSError as error:
            raise unmarked(error) from error
        await self._end_the_rest(keys)

    async def start(self, unit: ServiceUnit) -> None:
        """See `Supervisor.start`. Returns when the unit is up, by its ``Type=``.

        Cancelled in the middle, it leaves the service stopped.
        """
        watched = self._watch(unit.key)
        self._stops.pop(unit.key, None)  # a stop asked for from now on comes after this start
        async with self._turn(unit.key):
            try:
                await self._start(watched, unit)
            except asyncio.CancelledError:
                await uninterrupted(self._halt(watched), name=f"stop {unit.key}")
                raise

    async def stop(self, key: UnitKey, *, alone: bool = False) -> bool:
        """See `Supervisor.stop`. It goes on when the caller is cancelled; a second caller joins."""
        task = self._stops.get(key)
        if task is None or task.done():
            task = asyncio.create_task(self._stop(key, alone), name=f"stop {key}")
            self._stops[key] = task
            self._stopping.add(task)
            task.add_done_callback(self._stopping.discard)
        return await asyncio.shield(task)

    def status(self, key: UnitKey) -> UnitStatus:
        """See `Supervisor.status`."""
        watched = self._units.get(key)
        return watched.status if watched else never_started(key)

    def units(self) -> list[UnitKey]:
        """See `Supervisor.units`."""
        return [key for key, watched in self._units.items() if watched.wanted]

    async def processes(self, key: UnitKey) -> frozenset[int]:
        """See `Supervisor.processes`. Raises SupervisorError when systemd does not answer."""
        return await asyncio.to_thread(cgroups.processes, await self._group(service_unit(key)))

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        """See `Supervisor.control_groups`. Raises SupervisorError when systemd does not answer."""
        return await asyncio.to_thread(cgroups.identities, await self._group(service_unit(key)))

    async def job_processes(self, name: str) -> frozenset[int]:
        """See `Supervisor.job_processes`. Raises SupervisorError."""
        return await asyncio.to_thread(cgroups.processes, await self._group(self._jobs.get(name)))

    async def job_control_groups(self, name: str) -> frozenset[int]:
        """See `Supervisor.job_control_groups`. Raises SupervisorError."""
        return await asyncio.to_thread(cgroups.identities, await self._group(self._jobs.get(name)))

    async def _group(self, unit: str | None) -> str:
        if unit is None:
            return ""
        return str(await self._systemd.service_property(unit, "ControlGroup"))

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        """See `Supervisor.log_tail`. From the journal; raises SupervisorError."""
        return await journal.tail(service_unit(key), lines)

    async def log_lines(
        self, keys: Sequence[UnitKey], lines: int, *, follow: Callable[[], bool]
    ) -> AsyncGenerator[tuple[UnitKey, str], None]:
        """See `Supervisor.log_lines`. From the journal, as far back as that is kept."""
        units = {service_unit(key): key for key in keys}
        return _keyed(await journal.log_lines(list(units), lines, follow=follow), units)

    async def run(self, job: Job) -> JobResult:
        """See `JobRunner.run`."""
        return await run_job(job, self._layout, self._systemd, self._jobs)

    async def is_host_ending(self) -> bool:
        """See `Supervisor.is_host_ending`. Raises SupervisorError when systemd does not answer."""
        (state,) = await self._systemd.call(
            "Get", "ss", MANAGER, "SystemState", interface=PROPERTIES
        )
        return bool(state == "stopping")

    async def close(self, *, stop_units: bool) -> None:
        """See `Supervisor.close`. A stop that is under way is finished by systemd."""
        results: list[bool | BaseException] = []
        if stop_units:
            results = await asyncio.gather(
                *(self.stop(key) for key in self.units()), return_exceptions=True
            )
        for task in self._stopping:
            task.cancel()
        if self._stopping:
            await asyncio.wait(self._stopping)
        await self._systemd.close()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    # -- starting and stopping --------------------------------------------------------------

    async def _start(self, watched: WatchedUnit, unit: ServiceUnit) -> None:
        name = watched.name
        properties, patience, is_new = await asyncio.gather(
            self._systemd.properties(name, UNIT),
            self._patience(name, "TimeoutStartUSec", "TimeoutStopUSec"),
            self._mark(unit),
        )
        # The disk takes its time while systemd starts the unit.
        for result in await asyncio.gather(
            self._start_unit(watched, unit, properties, patience),
            self._keep_mark(unit.key, is_new),
            return_exceptions=True,
        ):
            if result is not None:
                raise result

    async def _start_unit(
        self,
        watched: WatchedUnit,
        unit: ServiceUnit,
        properties: Mapping[str, Any],
        patience: float,
    ) -> None:
        name = watched.name
        if properties["LoadState"] != "loaded":
            raise unfit_unit(name, properties)
        if watched.status.state is UnitState.RUNNING and await self._is_current(unit, properties):
            watched.wanted = True
            return
        giving_up = asyncio.get_running_loop().time() + NO_GROUP_PATIENCE
        while True:
            result = await self._start_once(watched, properties, patience)
            # What has changed was told before the end of the job was.
            is_up = result == "done" or (
                result == LOST and watched.status.state is UnitState.RUNNING
            )
            if is_up and watched.has_begun:
                return
            properties = await self._systemd.properties(name)
            late = asyncio.get_running_loop().time() >= giving_up
            if late or exit_status(properties) != NO_GROUP:
                said = redact(await _last_lines(name), unit.env)
                raise not_started(watched, result, properties, said)
            logger.info("%s had no control group, and is started again", name)
            await asyncio.sleep(NO_GROUP_DELAY)

    async def _start_once(
        self, watched: WatchedUnit, properties: Mapping[str, Any], patience: float
    ) -> str:
        """Ask systemd once: its word for what became of that."""
        name, active = watched.name, properties["ActiveState"]
        is_starting = active == "activating" and not is_waiting(properties)
        watched.begin(joins=is_starting)
        try:
            if active != "inactive":
                # Forgets the restarts so far, and the start limit.
                await unless_gone(self._systemd.call("ResetFailedUnit", "s", name))
            watched.request({"NRestarts": 0})
            result = await self._systemd.job(
                "StartUnit" if is_starting or active in AT_REST else "RestartUnit",
                name,
                timeout=patience,
            )
            if result == LOST:  # how it ended was not heard, and can be seen
                self._hear(watched, await self._systemd.properties(name))
        finally:
            watched.changing = False
        return result

    async def _is_current(self, unit: ServiceUnit, properties: Mapping[str, Any]) -> bool:
        """Whether what runs is what a start would run now."""
        began = await self._systemd.service_property(
            service_unit(unit.key), "ExecMainStartTimestamp"
        )
        mark = wanted.path(self._layout, unit.key.app, unit.key.slot)
        files = [properties["FragmentPath"], *properties["DropInPaths"], mark]
        return await asyncio.to_thread(is_older, files, began / 1e6)

    async def _mark(self, unit: ServiceUnit) -> bool:
        """Whether the slot was not marked so before."""
        key, version, defaults = unit.key, unit.env["BLUEGREEN_VERSION"], unit.defaults
        try:
            async with self._marks:  # the services of a slot share one
                return await uninterrupted(
                    asyncio.to_thread(
                        wanted.write, self._layout, key.app, key.slot, version, defaults
                    ),
                    name=f"mark {key.slot} of {key.app}",
                )
        except OSError as error:
            raise unmarked(error) from error

    async def _keep_mark(self, key: UnitKey, is_new: bool) -> None:
        if is_new:
            try:
                await asyncio.to_thread(wanted.keep, self._layout, key.app, key.slot)
            except OSError as error:
                raise unmarked(error) from error

    async def _stop(self, key: UnitKey, alone: bool) -> bool:
        watched = self._watch(key)
        async with self._turn(key):
            return await self._halt(watched, alone=alone)

    async def _halt(self, watched: WatchedUnit, *, alone: bool = False) -> bool:
        key = watched.key
        watched.wanted = False
        try:
            if not alone:
                async with self._marks:
                    await asyncio.to_thread(wanted.remove, self._layout, key.app, key.slot)
        except OSError as error:
            raise unmarked(error) from error
        ran = not watched.is_at_rest
        timeout = await self._patience(watched.name, "TimeoutStopUSec", "TimeoutStopUSec")
        await unless_gone(self._systemd.job("StopUnit", watched.name, timeout=timeout))
        if not ran:
            return True
        # What has changed was told before the end of the job was.
        in_time = watched.result != "timeout"
        left = await self.processes(key)
        if left:
            raise outlives(watched.name, left)
        # How it ended is known by now; as "failed" it would trouble whoever watches the host.
        await unless_gone(self._systemd.call("ResetFailedUnit", "s", watched.name))
        return in_time

    async def _patience(self, unit: str, *timeouts: str) -> float:
        """Seconds to wait for a job of a unit, of which systemd gives up after ``timeouts``."""
        each = await asyncio.gather(
            *(self._systemd.service_property(unit, name) for name in timeouts)
        )
        return LONGEST if max(each) >= _FOREVER else sum(each) / 1e6 + SLACK

    # -- what is there ----------------------------------------------------------------------

    def _turn(self, key: UnitKey) -> asyncio.Lock:
        return self._turns.setdefault(key, asyncio.Lock())

    def _watch(self, key: UnitKey) -> WatchedUnit:
        watched = self._units.get(key)
        if watched is None:
            watched = self._units[key] = WatchedUnit(key)
            unit = watched
            self._systemd.listen(unit.name, lambda changed: self._hear(unit, changed))
        return watched

    def _hear(self, watched: WatchedUnit, changed: Mapping[str, Any]) -> None:
        status = watched.update(changed)
        if status is not None and self.on_change is not None:
            # Later: whoever listens may ask us for something that changes the state again.
            asyncio.get_running_loop().call_soon(self.on_change, status)

    async def _adopt(self, key: UnitKey) -> None:
        watched = self._watch(key)
        properties = await self._systemd.properties(watched.name)
        if properties["ActiveState"] in AT_REST:
            self._hear(watched, properties)
        else:
            watched.request(properties)

    async def _end_the_rest(self, keys: set[UnitKey]) -> None:
        """Stop what runs of this layout and is not wanted, and the jobs of an earlier daemon."""
        apps = await asyncio.to_thread(wanted.apps, self._layout)
        jobs = [end_leftovers(app, self._layout.app(app).jobs, self._systemd) for app in apps]
        orphans = [self._end_orphan(name) for name in await self._unwanted(keys)]
        for result in await asyncio.gather(*jobs, *orphans, return_exceptions=True):
            if isinstance(result, SupervisorError):
                # It must not keep the daemon from serving the rest; the next one tries again.
                logger.warning("left behind by an earlier daemon: %s", result.message)
            elif isinstance(result, BaseException):
                raise result

    async def _end_orphan(self, name: str) -> None:
        logger.info("%s is no longer wanted, and is stopped", name)
        try:
            # systemd goes on with it, however long the unit may take.
            await self._systemd.job("StopUnit", name, timeout=ORPHAN_STOP_TIMEOUT)
        except RefusedBySystemdError:
            raise
        except SupervisorError as error:
            raise not_adopted(name, ORPHAN_STOP_TIMEOUT) from error

    async def _unwanted(self, keys: set[UnitKey]) -> list[str]:
        """The units that run of this layout's apps, but not for ``keys``.

        The mark that a unit asks for says whose it is; its name alone could be of two apps.
        """
        patterns = [f"{PREFIX}*@{slot.value}{more}.service" for slot in Slot for more in ("", "-*")]
        (listed,) = await self._systemd.call("ListUnitsByPatterns", "asas", [], patterns)
        kept = {service_unit(key) for key in keys}
        names = [row[0] for row in listed if row[3] not in AT_REST and row[0] not in kept]
        marks = {
            str(wanted.path(self._layout, app, slot))
            for app in await asyncio.to_thread(wanted.apps, self._layout)
            for slot in Slot
        }
        every = await asyncio.gather(*(self._systemd.properties(name, UNIT) for name in names))
        return [
            name
            for name, properties in zip(names, every, strict=True)
            if any(parameter in marks for _, _, _, parameter, _ in properties["Conditions"])
        ]


async def _keyed(
    lines: AsyncGenerator[tuple[str, str], None], units: Mapping[str, UnitKey]
) -> AsyncGenerator[tuple[UnitKey, str], None]:
    async with aclosing(lines):
        async for unit, line in lines:
            yield units[unit], line


async def _last_lines(unit: str) -> list[str]:
    try:
        return await journal.tail(unit, REFUSAL_LINES)
    except BluegreenError as error:
        return [error.message]
