"""A slot as the health checks see it, for tests to shape."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from pathlib import Path

from bluegreen.config.environment import ProcessEnvironment
from bluegreen.health.target import Target
from bluegreen.model import (
    Address,
    Job,
    JobResult,
    ProbeResult,
    Slot,
    UnitKey,
    UnitState,
    UnitStatus,
)


class SubprocessJobs:
    """Runs jobs as plain child processes."""

    def __init__(self) -> None:
        self.jobs: list[Job] = []

    async def run(self, job: Job) -> JobResult:
        self.jobs.append(job)
        job.log_file.parent.mkdir(parents=True, exist_ok=True)
        with job.log_file.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *job.argv, cwd=job.cwd, env=job.env, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(job.timeout):
                status = await process.wait()
        except TimeoutError:
            return JobResult(exit_status=None, ending=f"timed out after {job.timeout:g} s")
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return JobResult(exit_status=status, ending=f"exit status {status}")


class FakeSlot:
    """A ``ServiceView`` of services that run in this process unless told otherwise.

    What there is of an instance is found by its place: ``api``, ``api.2``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.jobs = SubprocessJobs()
        self.results: list[ProbeResult] = []
        self.statuses: dict[str, UnitStatus] = {}
        self.addresses: dict[str, Address | None] = {}
        self.pids: dict[str, frozenset[int]] = {}
        self.groups: dict[str, frozenset[int]] = {}
        self.logs: dict[str, list[str]] = {}
        self.secrets: dict[str, str] = {}  # variables of every service
        self.add("api")

    def add(self, service: str, address: Address | None = None, *, instance: int = 1) -> None:
        key = UnitKey(app="shop", slot=Slot.GREEN, service=service, instance=instance)
        place = key.place
        self.statuses[place] = UnitStatus(key=key, state=UnitState.RUNNING, pid=os.getpid())
        self.addresses[place] = address
        self.pids[place] = frozenset({os.getpid()})
        self.groups[place] = frozenset()
        self.logs[place] = [f"line {number} of {place}" for number in range(1, 31)]

    def crash(self, service: str = "api", *, state: UnitState = UnitState.BACKOFF) -> None:
        self.statuses[service] = replace(
            self.statuses[service], state=state, pid=None, last_exit="exit status 1"
        )

    def restart(self, service: str = "api") -> None:
        before = self.statuses[service]
        self.statuses[service] = replace(
            before, restarts=before.restarts + 1, last_exit="exit status 1"
        )

    @property
    def target(self) -> Target:
        values = {"slot": "green", "version": "v2"}
        services = tuple(place for place in self.statuses if "." not in place)
        return Target(
            app="shop",
            slot=Slot.GREEN,
            version="v2",
            services=services,
            view=self,
            values=dict.fromkeys(services, values),
            tree=self.root,
            environment={
                service: ProcessEnvironment(
                    variables={"PATH": os.environ["PATH"], "NAME": service, **self.secrets}
                )
                for service in services
            },
            jobs=self.jobs,
            logs=self.root / "logs",
        )

    def keys(self, service: str) -> list[UnitKey]:
        return [one.key for one in self.statuses.values() if one.key.service == service]

    def status(self, key: UnitKey) -> UnitStatus:
        return self.statuses[key.place]

    async def processes(self, key: UnitKey) -> frozenset[int]:
        return self.pids[key.place]

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        return self.groups[key.place]

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        return self.logs[key.place][-lines:]

    def address(self, key: UnitKey) -> Address | None:
        return self.addresses[key.place]
