"""What the rest of bluegreen may ask of whatever runs the processes."""

from __future__ import annotations

import functools
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Protocol

from bluegreen.model import Job, JobResult, ServiceUnit, UnitKey, UnitState, UnitStatus


@functools.lru_cache(maxsize=4096)  # asked for again and again, of every app there is
def never_started(key: UnitKey) -> UnitStatus:
    """The status of a unit that a supervisor does not know."""
    return UnitStatus(key=key, state=UnitState.STOPPED)


class JobRunner(Protocol):
    """Runs commands to their end: build steps, command probes."""

    async def run(self, job: Job) -> JobResult:
        """Run ``job``, its output appended to ``job.log_file``.

        Out of time or cancelled, the job's whole session is killed before this returns or raises.
        What the job leaves running when it ends is killed too. Raises SupervisorError when the job
        cannot be started at all; a command that fails is a JobResult.
        """
        ...


class Supervisor(JobRunner, Protocol):
    """Keeps services running."""

    on_change: Callable[[UnitStatus], None] | None
    """Called on the event loop at every change of state."""

    async def open(self, units: Sequence[ServiceUnit]) -> None:
        """Adopt what still runs of ``units`` from an earlier daemon, and end everything else.

        Once, before anything else is asked. Starts nothing: a unit that does not run is STOPPED.
        """
        ...

    async def start(self, unit: ServiceUnit) -> None:
        """Run ``unit`` until it is stopped; returns when its process is spawned.

        Of one with ``ready_within``, when it has said that it is ready; SupervisorError after that.
        Nothing happens when it already runs with the same definition; with another one it is
        restarted. Raises SupervisorError when the process cannot be spawned.
        """
        ...

    async def stop(self, key: UnitKey, *, alone: bool = False) -> bool:
        """SIGTERM, the unit's ``stop_timeout``, SIGKILL, to all processes of the unit.

        ``alone``: the other services of its slot are to run on, over a reboot too.
        Returns whether it went without SIGKILL; True for what does not run. Raises SupervisorError
        when a process outlives SIGKILL.
        """
        ...

    def status(self, key: UnitKey) -> UnitStatus:
        """What is known of the unit, from memory; STOPPED for one never started."""
        ...

    def units(self) -> list[UnitKey]:
        """The units that were started or adopted and not stopped since."""
        ...

    async def processes(self, key: UnitKey) -> frozenset[int]:
        """The PIDs of all live processes of the unit, now."""
        ...

    async def control_groups(self, key: UnitKey) -> frozenset[int]:
        """The kernel's IDs of the control groups that hold the unit and nothing else, now.

        Empty where units have none, or this one does not run.
        """
        ...

    async def job_processes(self, name: str) -> frozenset[int]:
        """The PIDs of all live processes of the running job of that name, now: of the latest."""
        ...

    async def job_control_groups(self, name: str) -> frozenset[int]:
        """As `control_groups`, of the running job of that name."""
        ...

    async def log_tail(self, key: UnitKey, lines: int) -> list[str]:
        """The last ``lines`` lines of the unit's log, fit to print."""
        ...

    async def log_lines(
        self, keys: Sequence[UnitKey], lines: int, *, follow: Callable[[], bool]
    ) -> AsyncGenerator[tuple[UnitKey, str], None]:
        """The last ``lines`` lines of each unit's log as they were written, unit after unit.

        Then, while ``follow`` says so, what is added to them, of all: nothing is left out between
        the two, and nothing comes twice. Close the generator to end it early. Raises
        SupervisorError, now or in its middle, when the logs cannot be read.
        """
        ...

    async def is_host_ending(self) -> bool:
        """Whether all that runs is being ended with the host, so that no end says anything."""
        ...

    async def close(self, *, stop_units: bool) -> None:
        """End the supervision; the units run on, unless ``stop_units`` says to stop them all."""
        ...
