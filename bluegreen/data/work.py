"""Having the work on an app's data done, and understanding what came of it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import secrets
import stat
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, TypeVar

from bluegreen.data import shapes
from bluegreen.data.tasks import FULL, written_report
from bluegreen.errors import DataError, NotFoundError
from bluegreen.files import write_atomically
from bluegreen.layout import AppLayout
from bluegreen.log_tail import printable, tail
from bluegreen.model import Job, JobResult
from bluegreen.processes import uninterrupted
from bluegreen.sources.disk_space import is_full
from bluegreen.sources.removal import remove_tree
from bluegreen.supervisors.interface import JobRunner
from bluegreen.supervisors.tails import Tail, stream

SHORT = 300.0  # seconds for what only looks, renames or removes
DETAIL = 200  # lines of an error

_A = TypeVar("_A")
_T = TypeVar("_T")

OnLine = Callable[[str], Awaitable[None]]


class DiskFullError(DataError):
    """There is no room on the disk for a backup, or for what is to be restored."""

    kind: ClassVar[str] = "disk-full"
    http_status: ClassVar[int] = 507


async def nobody_listens(_: str) -> None:
    """An `OnLine` for work whose progress is of no interest."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """How what is done to the data of one app (see `tasks`) is done; ``timeout`` in seconds.

    The app's data and its backups are those of whoever runs its services: on a host a user of the
    app's own, whose files the daemon may neither read nor write. What comes back is then that
    user's word: it is bounded, and whoever reads it checks what it is (see `shapes`).
    """

    app: str
    layout: AppLayout
    jobs: JobRunner
    timeout: float

    async def do(
        self,
        what: str,
        task: Mapping[str, Any],
        *,
        log: Path | None,
        on_line: OnLine = nobody_listens,
    ) -> dict[str, Any]:
        """Have it done by a job; ``log`` None: what it says is kept nowhere.

        ``on_line`` is told what it says, as it says it. Raises DataError, also out of time.
        """
        name = f"{self.app}-{what}-{secrets.token_hex(4)}"
        files = JobFiles(directory=self.layout.work, name=name)
        try:
            opened = await self._made(files, {"do": what, **self._places, **task})
            # The daemon's own Python, told to import nothing from where the data are.
            words = (sys.executable, "-I", "-m", "bluegreen.data.worker")
            job = Job(
                app=self.app,
                name=name,
                argv=(*words, str(files.task), str(files.report)),
                cwd=self.layout.work,
                env={},
                timeout=self.timeout,
                log_file=log or files.log,
            )
            with opened:
                async with _told(job.log_file, on_line):
                    result = await self.jobs.run(job)
                written = await asyncio.to_thread(_read, opened)
            if not result.ok:
                raise await asyncio.to_thread(self._unfinished, what, job, result)
            return await self.checked(self._result, written)
        finally:
            await uninterrupted(asyncio.to_thread(files.remove), name=f"remove the files of {name}")

    async def at_once(self, what: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """Have it done, where it only looks, renames or removes: to its end, even when cancelled.

        By the daemon itself where the data are its own: on a full disk no job could be begun, and
        what is removed is what makes room. Raises DataError and NotFoundError.
        """
        if self.layout.has_own_user:
            doing = replace(self, timeout=SHORT).do(what, task, log=None)
            return await uninterrupted(doing, name=f"{what} of the backups of {self.app}")
        written = await uninterrupted(
            asyncio.to_thread(written_report, what, {**self._places, **task}, lambda _: None),
            name=f"{what} of the backups of {self.app}",
        )
        return await self.checked(self._result, written)

    async def checked(self, check: Callable[[_A], _T], result: _A) -> _T:
        """What ``check`` makes of a result. Raises DataError where it is not of the right shape."""
        try:
            return await asyncio.to_thread(check, result)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(
                f"{self.app}: the work on its data has come to an end that makes no sense "
                f"({type(error).__name__}: {printable(str(error))})",
                remedy="is the app's user meddling with it? If not, this is a defect of bluegreen: "
                "please report it",
            ) from error

    @property
    def _places(self) -> dict[str, str]:
        layout = self.layout
        return {"app": self.app, "shared": str(layout.shared), "backups": str(layout.backups)}

    async def _made(self, files: JobFiles, task: Mapping[str, Any]) -> BinaryIO:
        making = asyncio.to_thread(files.make, task, of_user=self.layout.has_own_user)
        try:
            return await uninterrupted(making, name=f"files of {files.name}")
        except OSError as error:
            missing = isinstance(error, FileNotFoundError) and self.layout.has_own_user
            raise DataError(
                f"{self.app}: the work on its data cannot be begun: "
                f"{error.filename or files.directory}: {error.strerror or error}",
                remedy="let root make that directory: sudo bluegreen apply"
                if missing
                else f"{'free some space on' if is_full(error) else 'look at'} the disk (df -h), "
                "then try again",
            ) from error

    def _result(self, written: bytes) -> dict[str, Any]:
        document = shapes.parse(written)
        if "error" not in document:
            return shapes.table(lambda value: value, document["result"])
        error = document["error"]
        kind, message = shapes.text(error["kind"]), shapes.text(error["message"])
        detail = shapes.array(shapes.text, error["detail"])[:DETAIL]
        remedy = shapes.text(error["remedy"])
        if kind == NotFoundError.kind:
            raise NotFoundError(message, remedy=remedy, detail=detail)
        raise (DiskFullError if kind == FULL else DataError)(
            f"{self.app}: {message}", detail=detail, remedy=remedy
        )

    def _unfinished(self, what: str, job: Job, result: JobResult) -> DataError:
        return DataError(
            f"{self.app}: the work on its data ({what}) has not come to its end: {result.ending}",
            detail=tail(job.log_file, 10),
            remedy="if it needs more time, give it more by timeout in [backup]; if it was killed, "
            "see journalctl -k; then try again",
        )


@dataclass(frozen=True, kw_only=True)
class JobFiles:
    """What a job gets and gives, in a directory that only the daemon changes. Methods block."""

    directory: Path
    name: str

    @property
    def task(self) -> Path:
        return self.directory / f"{self.name}.task"

    @property
    def report(self) -> Path:
        return self.directory / f"{self.name}.report"

    @property
    def log(self) -> Path:
        """Of a job whose output nobody keeps."""
        return self.directory / f"{self.name}.log"

    def make(self, task: Mapping[str, Any], *, of_user: bool) -> BinaryIO:
        """The task, and an empty report to be read through what this returns. Raises OSError.

        ``of_user``: the job is another user's, to whose group root has given the directory.
        """
        if not of_user:
            self.directory.mkdir(mode=0o700, exist_ok=True)
        if not is_ours(self.directory):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.directory))
        text = json.dumps(task)
        write_atomically(self.task, text, mode=0o640 if of_user else 0o600, durable=False)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.report, flags, 0o600)
        if of_user:
            os.fchmod(descriptor, 0o620)
        return open(descriptor, "r+b", buffering=0)

    def remove(self) -> None:
        for file in (self.task, self.report, self.log):
            file.unlink(missing_ok=True)


def is_ours(directory: Path) -> bool:
    """Whether it is a directory of our own: where it is to be, an app's user may put a link."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()


def remove_leftovers(layout: AppLayout) -> None:
    """Remove the files of jobs that ended with an earlier daemon. Blocks on the disk."""
    if is_ours(layout.work):
        for file in layout.work.iterdir():
            remove_tree(file)


def _read(report: BinaryIO) -> bytes:
    """What is in it, up to a little more than it may be."""
    report.seek(0)
    data = b""
    while len(data) <= shapes.LONGEST and (more := report.read(shapes.LONGEST + 1)):
        data += more
    return data


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
