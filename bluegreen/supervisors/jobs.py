"""Running a command to its end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bluegreen.model import Job, JobResult
from bluegreen.processes import uninterrupted
from bluegreen.supervisors import logs
from bluegreen.supervisors.launch import RunningSession, launch
from bluegreen.supervisors.records import ProcessRecords
from bluegreen.supervisors.sessions import ProcessTable

logger = logging.getLogger(__name__)

LOOK_INTERVAL = 1.0  # seconds between looks at the size of a job's log


async def run_job(
    job: Job,
    records: ProcessRecords,
    table: ProcessTable,
    sessions: MutableMapping[str, RunningSession],
) -> JobResult:
    """See `JobRunner.run`. While it runs it is in ``sessions``, by its name."""
    running = await launch(job, records, table)
    sessions[job.name] = running
    limit = asyncio.timeout(job.timeout)
    async with _kept_short(job):
        try:
            with suppress(TimeoutError):
                async with limit:
                    await running.ended()
        finally:
            if sessions.get(job.name) is running:  # and not a later one of that name
                del sessions[job.name]
            _, ending = await uninterrupted(running.end(stop_timeout=0), name=f"end of {job.name}")
    if limit.expired():
        return JobResult(exit_status=None, ending=f"timed out after {job.timeout:g} s")
    return JobResult(exit_status=ending.exit_status, ending=str(ending))


@asynccontextmanager
async def _kept_short(job: Job) -> AsyncIterator[None]:
    """Its log is, while it runs and once it has ended."""

    async def look() -> None:
        while True:
            await asyncio.sleep(LOOK_INTERVAL)
            await _shorten(job.log_file)

    looking = asyncio.create_task(look(), name=f"log of {job.name}")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        await _shorten(job.log_file)


async def _shorten(log: Path) -> None:
    try:
        await uninterrupted(asyncio.to_thread(logs.shorten, log), name=f"shorten {log.name}")
    except OSError as error:
        logger.warning("the log %s cannot be shortened: %s", log, error.strerror)
