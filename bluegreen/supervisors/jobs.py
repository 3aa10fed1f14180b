"""Running a command to its end."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

from bluegreen.model import Job, JobResult
from bluegreen.processes import uninterrupted
from bluegreen.supervisors.launch import launch
from bluegreen.supervisors.records import ProcessRecords
from bluegreen.supervisors.sessions import ProcessTable


async def run_job(job: Job, records: ProcessRecords, table: ProcessTable) -> JobResult:
    """See `JobRunner.run`."""
    began = time.monotonic()
    running = await launch(job, records, table)
    limit = asyncio.timeout(job.timeout)
    try:
        with suppress(TimeoutError):
            async with limit:
                await running.ended()
    finally:
        _, ending = await uninterrupted(running.end(stop_timeout=0), name=f"end of {job.name}")
    took = time.monotonic() - began
    if limit.expired():
        return JobResult(exit_status=None, ending=f"timed out after {job.timeout:g} s", took=took)
    return JobResult(exit_status=ending.exit_status, ending=str(ending), took=took)
