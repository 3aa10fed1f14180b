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
    """A ``ServiceView`` of services that run in this process unless told otherwise."""

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

    def add(self, service: str, address: Address | None = None) -> None:
        key = UnitKey(app="shop", slot=Slot.GREEN, service=service)
        self.statuses[service] = UnitStatus(key=key, state=UnitState.RUNNING, pid=os.getpid())
        self.addresses[service] = address
        self.pids[service] = frozenset({os.getpid()})
        self.groups[service] = frozenset()
        self.logs[service] = [f"line {number} of {service}" for number in range(1, 31)]

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
        return Target(
            app="shop",
            slot=Slot.GREEN,
            version="v2",
            services=tuple(self.statuses),
            view=self,
            values=dict.fromkeys(self.statuses, values),
            tree=self.root,
            environment={
                service: ProcessEnvironment(
                    variables={"PATH": os.environ["PATH"], "NAME": service, **self.secrets}
                )
                for service in self.statuses
            },
            jobs=self.jobs,
            logs=self.root / "logs",
        )

    def status(self, service: str) -> UnitStatus:
        return self.statuses[service]

    async def processes(self, service: str) -> frozenset[int]:
        return self.pids[service]

    async def control_groups(self, service: str) -> frozenset[int]:
        return self.groups[service]

    async def log_tail(self, service: str, lines: int) -> list[str]:
        return self.logs[service][-lines:]

    def address(self, service: str) -> Address | None:
        return self.addresses[service]
