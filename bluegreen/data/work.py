"""Having the long work on an app's data done, as a job, and understanding what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from bluegreen.errors import DataError
from bluegreen.layout import AppLayout
from bluegreen.log_tail import printable, tail
from bluegreen.model import Job, JobResult
from bluegreen.sources.interruptible import in_thread
from bluegreen.sources.removal import remove_tree
from bluegreen.supervisors.interface import JobRunner
from bluegreen.supervisors.tails import Tail, stream

OnLine = Callable[[str], Awaitable[None]]


class DiskFullError(DataError):
    """There is no room on the disk for a backup, or for what is to be restored."""

    kind: ClassVar[str] = "disk-full"
    http_status: ClassVar[int] = 507


async def nobody_listens(_: str) -> None:
    """An `OnLine` for work whose progress is of no interest."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How the work of one app is done; ``timeout`` in seconds, for each piece of it."""

    app: str
    layout: AppLayout
    jobs: JobRunner
    timeout: float

    async def do(
        self, what: str, task: dict[str, Any], *, log: Path | None, on_line: OnLine = nobody_listens
    ) -> dict[str, Any]:
        """Have the worker do ``task``; ``log`` None: what it says is kept nowhere.

        ``on_line`` is told what it says, as it says it. Raises DataError, also out of time.
        """
        name = f"{self.app}-{what}-{secrets.token_hex(4)}"
        scratch = self.layout.work / name
        await asyncio.to_thread(scratch.mkdir, mode=0o700, parents=True)
        try:
            report = scratch / "report.json"
            # The daemon's own Python, told to import nothing from where the data are.
            words = (sys.executable, "-I", "-m", "bluegreen.data.worker")
            job = Job(
                app=self.app,
                name=name,
                argv=(*words, json.dumps({"do": what, **task}), str(report)),
                cwd=scratch,
                env={},
                timeout=self.timeout,
                log_file=log or scratch / "log",
            )
            async with _told(job.log_file, on_line):
                result = await self.jobs.run(job)
            return await asyncio.to_thread(self._understood, what, job, result, report)
        finally:
            await asyncio.to_thread(remove_tree, scratch)

    def _understood(self, what: str, job: Job, result: JobResult, report: Path) -> dict[str, Any]:
        if report.exists():
            document = json.loads(report.read_bytes())
            if "error" not in document:
                return dict(document["result"])
            error = document["error"]
            kind = DiskFullError if error["full"] else DataError
            raise kind(
                printable(f"{self.app}: {error['message']}"),
                detail=[printable(line) for line in error["detail"]],
                remedy=error["remedy"],
            )
        raise DataError(
            f"{self.app}: the work on its data ({what}) has not come to its end: {result.ending}",
            detail=tail(job.log_file, 10),
            remedy="if it needs more time, give it more by timeout in [backup]; if it was killed, "
            "see journalctl -k; then try again",
        )


@contextlib.asynccontextmanager
async def _told(log: Path, on_line: OnLine) -> AsyncIterator[None]:
    """Tell ``on_line`` each line that ``log`` gets while the block runs."""
    ended = False
    file: Tail[None] = Tail(None, log)
    await asyncio.to_thread(file.seek_back, 0)

    async def tell() -> None:
        async with aclosing(stream(lambda: [file], goes_on=lambda: not ended)) as lines:
            async for _, line in lines:
                await on_line(printable(line))

    telling = asyncio.create_task(tell(), name=f"what {log.name} says")
    try:
        yield
        ended = True
        await telling
    finally:
        telling.cancel()
        await asyncio.wait([telling])


async def at_once(work: Callable[[], object], *, name: str) -> None:
    """Do a few renames or removals in a thread; DataError names the file that could not be."""
    try:
        await in_thread(lambda _: work(), name=name)
    except OSError as error:
        raise DataError(
            f"{name}: {error.filename or 'a file'}: {error.strerror or error}",
            remedy="look at the disk, and at who may change that directory; then try again",
        ) from error
