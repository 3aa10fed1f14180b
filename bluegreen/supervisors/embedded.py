"""Services and jobs as processes of the daemon's own, found again by the next daemon.

For development, containers and the demo. Processes outlive the daemon: they write their logs
themselves, and a record of each lies in the run directory.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path

from bluegreen.errors import SupervisorError
from bluegreen.layout import Layout
from bluegreen.log_tail import tail
from bluegreen.model import Job, JobResult, ServiceUnit, UnitKey, UnitState, UnitStatus
from bluegreen.processes import Process, uninterrupted
from bluegreen.supervisors import logs, tails
from bluegreen.supervisors.interface import never_started
from bluegreen.supervisors.jobs import run_job
from bluegreen.supervisors.launch import RunningSession
from bluegreen.supervisors.records import ProcessRecord, ProcessRecords
from bluegreen.supervisors.service import Service
from bluegreen.supervisors.sessions import ProcessTable, end_session, leftovers

logger = logging.getLogger(__name__)

ROTATION_INTERVAL = 5.0  # seconds between looks at the sizes of the logs
ORPHAN_STOP_TIMEOUT = 5.0  # seconds that what is no longer configured is given at a daemon's start
OPEN_FILES = 65536  # a pidfd for each process; the default limit of 1024 is too low for 200 apps


class EmbeddedSupervisor:
    """The `Supervisor` that runs everything itself. ``close`` it in the loop it was opened in."""

    def __init__(self, layout: Layout) -> None:
        self.on_change: Callable[[UnitStatus], None] | None = None
        self._layout = layout
        self._records = ProcessRecords(layout.process_records)
        self._table = ProcessTable()
        self._services: dict[UnitKey, Service] = {}
        self._jobs: dict[str, RunningSession] = {}
        self._rotation: asyncio.Task[None] | None = None
        self._unrotated: set[Path] = set()

    async def open(self, units: Sequence[ServiceUnit]) -> None:
        """See `Supervisor.open`."""
        _raise_file_limit()
        wanted = {unit.key: unit for unit in units}
        gone: list[ProcessRecord] = []
        orphans: list[RunningSession] = []
        for record in await asyncio.to_thread(self._records.load):
            process = Process.hold(record.session.leader)
            unit = wanted.get(record.key) if record.key is not None else None
            if process is None:
                gone.append(record)
                if unit is not None:
                    text = "ended while no daemon was running"
                    self._services[unit.key] = self._service(unit, last_exit=text)
                continue
            running = RunningSession(process, record, self._records, self._table)
            if unit is None:
                orphans.append(running)
            else:
                self._services[unit.key] = self._service(unit)
                self._services[unit.key].adopt(running)
        self._rotation = asyncio.create_task(self._rotate_logs(), name="rotate service logs")
        await self._clear(gone, orphans)

    async def start(self, unit: ServiceUnit) -> None:
        """See `Supervisor.start`."""
        if unit.key not in self._services:
            self._services[unit.key] = self._service(unit)
        await self._services[unit.key].start(unit)

    async def stop(self, key: UnitKey, *, alone: bool = False) -> bool:
        """See `Supervisor.stop`."""
        service = self._services.get(key)
        return await service.stop() if service is not None else True

    def status(self, key: UnitKey) -> UnitStatus:
        """See `Supervisor.status`."""
        service = self._services.get(key)
        return service.status if service else never_started(key)

    def units(self) -> list[UnitKey]:
        """See `Supervisor.units`."""
        return [
            key
            for key, service in self._services.items()
            if service.status.state is not UnitState.STOPPED
        ]

    async def processes(self, key: UnitKey) -> frozenset[int]:
        """See `Supervisor.processes`."""
        service = self._services.get(key)
        return await service.processes() if service is not None else frozenset()

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        """See `Supervisor.control_groups`."""
        return frozenset()

    async def job_processes(self, name: str) -> frozenset[int]:
        """See `Supervisor.job_processes`."""
        running = self._jobs.get(name)
        return await running.members() if running is not None else frozenset()

    async def job_control_groups(self, name: str) -> frozenset[int]:
        """See `Supervisor.job_control_groups`."""
        return frozenset()

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        """See `Supervisor.log_tail`."""
        service = self._services.get(key)
        if service is None:
            return []
        return await asyncio.to_thread(tail, service.unit.log_file, lines)

    async def log_lines(
        self, keys: Sequence[UnitKey], lines: int, *, follow: Callable[[], bool]
    ) -> AsyncGenerator[tuple[UnitKey, str], None]:
        """See `Supervisor.log_lines`. Of the files as they are: what was rotated away is not in."""
        files = [tails.Tail(key, self._log_file(key)) for key in keys]
        await asyncio.to_thread(_seek_back, files, lines)
        return tails.stream(lambda: files, goes_on=follow)

    def _log_file(self, key: UnitKey) -> Path:
        service = self._services.get(key)
        if service is not None:
            return service.unit.log_file
        return self._layout.app(key.app).service_log(key.slot, key.place)

    async def run(self, job: Job) -> JobResult:
        """See `JobRunner.run`."""
        return await run_job(job, self._records, self._table, self._jobs)

    async def is_host_ending(self) -> bool:
        """See `Supervisor.is_host_ending`. Nobody tells."""
        return False

    async def close(self, *, stop_units: bool) -> None:
        """See `Supervisor.close`. A stop that is under way is finished with SIGKILL.

        Jobs are ended by whoever awaits them.
        """
        if self._rotation is not None:
            self._rotation.cancel()
            await asyncio.wait([self._rotation])
        results: list[bool | BaseException] = []
        if stop_units:
            stops = (service.stop() for service in self._services.values())
            results = await asyncio.gather(*stops, return_exceptions=True)
        for service in self._services.values():
            await service.let_go()
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _service(self, unit: ServiceUnit, *, last_exit: str | None = None) -> Service:
        return Service(unit, self._records, self._table, self._tell, last_exit=last_exit)

    def _tell(self, status: UnitStatus) -> None:
        if self.on_change is not None:
            # Later: whoever listens may ask us for something that changes the state again.
            asyncio.get_running_loop().call_soon(self.on_change, status)

    async def _clear(self, gone: list[ProcessRecord], orphans: list[RunningSession]) -> None:
        """End what an earlier daemon has left and nobody wants, then forget it."""
        remains = await asyncio.to_thread(leftovers, [record.session for record in gone])
        failed = False
        for result in await asyncio.gather(
            *(end_session(session, self._table, stop_timeout=0) for session in remains),
            *(
                running.end(stop_timeout=min(running.record.stop_timeout, ORPHAN_STOP_TIMEOUT))
                for running in orphans
            ),
            return_exceptions=True,
        ):
            if isinstance(result, SupervisorError):
                # It must not keep the daemon from serving the rest; the next one tries again.
                logger.warning("left behind by an earlier daemon: %s", result.message)
                failed = True
            elif isinstance(result, BaseException):
                raise result
        if not failed:
            for record in gone:
                await asyncio.to_thread(self._records.remove, record)

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(ROTATION_INTERVAL)
            units = [self._services[key].unit for key in self.units()]
            if units:
                await uninterrupted(
                    asyncio.to_thread(self._rotate_all, units), name="rotate service logs once"
                )

    def _rotate_all(self, units: list[ServiceUnit]) -> None:
        for unit in units:
            path = unit.log_file
            try:
                logs.rotate(path, log_bytes=unit.log_bytes, log_files=unit.log_files)
                self._unrotated.discard(path)
            except OSError as error:
                if path not in self._unrotated:
                    self._unrotated.add(path)
                    logger.warning(
                        "the log %s cannot be rotated: %s", path, error.strerror,
                        extra={"app": unit.key.app},
                    )  # fmt: skip


def _seek_back(files: Sequence[tails.Tail[UnitKey]], lines: int) -> None:
    for file in files:
        file.seek_back(lines)


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    enough = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < enough:
        resource.setrlimit(resource.RLIMIT_NOFILE, (enough, hard))
