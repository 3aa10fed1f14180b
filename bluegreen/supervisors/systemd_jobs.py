"""Running a command to its end in a unit of its own."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any

from bluegreen.errors import BluegreenError, SupervisorError
from bluegreen.files import write_atomically
from bluegreen.layout import Layout
from bluegreen.model import Job, JobResult
from bluegreen.processes import uninterrupted
from bluegreen.supervisors import journal
from bluegreen.supervisors.exec_failures import explain
from bluegreen.supervisors.systemd_bus import LOST, Systemd, unless_gone
from bluegreen.supervisors.systemd_output import JobOutput
from bluegreen.supervisors.systemd_unit import AT_REST, ending, exit_status
from bluegreen.supervisors.unit_names import job_unit

NAME_LENGTH = 120  # characters of a job's name that go into the name of its unit; 255 in all
END_TIMEOUT = 60.0  # seconds for systemd to be done with what was killed
_UNFIT = re.compile(r"[^A-Za-z0-9:_.-]")
SHOWN_LINES = 5
SIGKILL = 9


async def run_job(
    job: Job, layout: Layout, systemd: Systemd, units: MutableMapping[str, str]
) -> JobResult:
    """See `JobRunner.run`. While it runs its unit is in ``units``, by the job's name."""
    # Two jobs of one name are two units; and none is called as a slot is.
    identity = f"{_UNFIT.sub('_', job.name)[:NAME_LENGTH].lstrip('.')}.{secrets.token_hex(4)}"
    run = _Run(job, identity, layout.app(job.app).jobs, systemd)
    try:
        await uninterrupted(asyncio.to_thread(run.prepare), name=f"prepare {job.name}")
        units[job.name] = run.unit
        return await run.until_ended()
    except OSError as error:
        raise SupervisorError(
            f"{job.name} could not be run: {error.strerror or error}: {error.filename or ''}",
            remedy="a directory that is missing is made by `bluegreen apply` as root; "
            "otherwise look at the disk: df -h",
        ) from error
    finally:
        if units.get(job.name) == run.unit:  # and not a later one of that name
            del units[job.name]
        await uninterrupted(asyncio.to_thread(run.clean_up), name=f"clean up {job.name}")


async def end_leftovers(app: str, jobs: Path, systemd: Systemd) -> None:
    """Kill what an earlier daemon's jobs of ``app`` left, which nobody awaits any more.

    Raises SupervisorError.
    """
    for spec in await asyncio.to_thread(lambda: sorted(jobs.glob("*.json"))):
        unit = job_unit(app, spec.stem)
        await kill(unit, systemd)
        for path in (spec, spec.with_suffix(".out")):
            await asyncio.to_thread(path.unlink, missing_ok=True)


async def kill(unit: str, systemd: Systemd) -> None:
    """SIGKILL to all of a unit; it is at rest, and forgotten, when this returns."""
    await unless_gone(systemd.call("KillUnit", "ssi", unit, "all", SIGKILL))
    await unless_gone(systemd.job("StopUnit", unit, timeout=END_TIMEOUT))
    await unless_gone(systemd.call("ResetFailedUnit", "s", unit))


class _Run:
    """One job, from its files to its result."""

    def __init__(self, job: Job, identity: str, directory: Path, systemd: Systemd) -> None:
        self._job = job
        self.unit = job_unit(job.app, identity)
        self._spec = directory / f"{identity}.json"
        self._output = JobOutput(directory / f"{identity}.out", job.log_file)
        self._systemd = systemd
        self._properties: dict[str, Any] = {}
        self._refusal: dict[str, Any] = {}
        self._changed = asyncio.Event()
        self._asked = False
        self._is_begun = False  # until then "inactive" says that it has not run yet
        self._is_lost = False

    def prepare(self) -> None:
        """Make the job's files. Blocks on the disk, raises OSError."""
        self._output.make()
        spec = {
            "argv": self._output.command(self._job.argv),
            "cwd": str(self._job.cwd),
            "env": self._job.env,
        }
        # It holds secrets. The directory's group is the app's, and nobody else may read it.
        write_atomically(self._spec, json.dumps(spec), mode=0o640, durable=False)

    def clean_up(self) -> None:
        self._output.remove()
        self._spec.unlink(missing_ok=True)

    async def until_ended(self) -> JobResult:
        """Start the unit, await its end, copy its output. Raises SupervisorError and OSError."""
        limit = asyncio.timeout(self._job.timeout)
        self._systemd.listen(self.unit, self._hear)
        opened, refused = False, ""
        try:
            try:
                async with limit:
                    refused = await self._while_copied(self._output.begin())
            except TimeoutError:
                if not limit.expired():
                    raise
            finally:
                opened = await uninterrupted(self._end(), name=f"end of {self.unit}")
        finally:
            self._systemd.forget(self.unit)
        if limit.expired():
            out_of_time = f"timed out after {self._job.timeout:g} s"
            return JobResult(exit_status=None, ending=out_of_time)
        if not opened and not self._is_lost:
            raise await self._not_started(refused)
        words = ending(self._properties, executed=opened)
        if self._is_lost or words is None:
            words = "ended while systemd could not be heard (exit status unknown)"
            return JobResult(exit_status=None, ending=words)
        by_itself = self._properties.get("Result", "success") in ("success", "exit-code")
        status = exit_status(self._properties) if by_itself else None
        return JobResult(exit_status=status, ending=words)

    async def _while_copied(self, copy: asyncio.Task[None]) -> str:
        """`_start_and_wait`, given up when the output cannot be written any more: OSError."""
        waiting = asyncio.create_task(self._start_and_wait(), name=f"end of {self._job.name}")
        try:
            await asyncio.wait([waiting, copy], return_when=asyncio.FIRST_COMPLETED)
            if copy.done():
                copy.result()
            return await waiting  # a copy that has ended well says that every writer has
        finally:
            if not waiting.done():
                waiting.cancel()
                await asyncio.wait([waiting])

    async def _start_and_wait(self) -> str:
        """Until the unit is at rest again: what became of its start, where that is not "done"."""
        self._asked = True
        result = await self._systemd.job("StartUnit", self.unit, timeout=None)
        self._is_begun = True
        if "ActiveState" not in self._properties:
            self._hear(await self._systemd.properties(self.unit))
        while not self._is_at_rest:
            if self._properties.get("ActiveState") == "deactivating":
                # The command has ended: what it has left running is not waited for.
                await unless_gone(self._systemd.call("KillUnit", "ssi", self.unit, "all", SIGKILL))
            await self._changed.wait()
            self._changed.clear()
        if result in ("done", LOST):
            return ""
        # All of them, before it is forgotten: what it was refused for is not told in signals.
        self._refusal = await self._systemd.properties(self.unit)
        return result

    async def _end(self) -> bool:
        """Leave nothing of the unit running; whether its command was ever reached."""
        try:
            has_ended = self._is_begun and self._is_at_rest and not self._is_lost
            if self._asked and not has_ended:
                await kill(self.unit, self._systemd)
            elif self._properties.get("ActiveState") == "failed":
                await unless_gone(self._systemd.call("ResetFailedUnit", "s", self.unit))
        finally:
            opened = await self._output.finish()
        return opened

    @property
    def _is_at_rest(self) -> bool:
        return self._properties.get("ActiveState") in AT_REST

    def _hear(self, changed: Mapping[str, Any]) -> None:
        if self._is_at_rest and ending(self._properties) is not None:
            return  # how it ended is known, and is told otherwise once it is reset or unloaded
        if self._properties.get("InvocationID") and not changed.get("InvocationID", b"-"):
            # Unloaded while nobody listened: it has ended, well or not.
            self._is_lost = True
            changed = {"ActiveState": "inactive"}
        self._properties.update(changed)
        self._changed.set()

    async def _not_started(self, refused: str) -> SupervisorError:
        why = ending(self._properties) or refused or "a condition of its unit is not met"
        try:
            lines = await journal.tail(self.unit, SHOWN_LINES)
        except BluegreenError as error:
            lines = [error.message]
        remedy = (
            f"does the app's user have its directory {self._job.cwd}? Units and directories "
            "are made by `bluegreen apply` as root"
        )
        if (more := explain(self._refusal, exit_status(self._refusal))) is not None:
            why, lines, remedy = why + more.more, [*more.detail, *lines], more.remedy
        return SupervisorError(
            f"{self._job.name} was not started: {why}", detail=lines, remedy=remedy
        )
