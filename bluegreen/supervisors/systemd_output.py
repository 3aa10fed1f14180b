"""The output of a job, from a FIFO into its log while it runs.

Not through the journal: that drops lines of whoever writes many, breaks long ones, and does not
tell an ordinary user when all has arrived.
"""

from __future__ import annotations

import asyncio
import os
import select
import stat
from pathlib import Path

from bluegreen.supervisors import logs

_CHUNK = 256 * 1024

# What the job's command is run by, as the app's user, the FIFO and the command being its arguments.
_INTO_FIFO = ("/bin/sh", "-c", 'exec >"$0" 2>&1 </dev/null; exec "$@"')


class JobOutput:
    """One FIFO that a job writes to, and its copy."""

    def __init__(self, fifo: Path, log_file: Path) -> None:
        self._fifo = fifo
        self._log_file = log_file
        self._reader = -1
        self._log = -1
        self._copy: asyncio.Task[None] | None = None
        self._readable: asyncio.Future[None] | None = None
        self._is_last = False  # nobody writes any more who is to be waited for

    def command(self, argv: tuple[str, ...]) -> list[str]:
        """``argv`` with its output going into the FIFO."""
        return [*_INTO_FIFO, str(self._fifo), *argv]

    def make(self) -> None:
        """Make the FIFO and open both ends of the copy. Blocks on the disk. Raises OSError."""
        self._log = logs.open_log(self._log_file)
        os.mkfifo(self._fifo, 0o600)
        self._reader = os.open(
            self._fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        )
        if not stat.S_ISFIFO(os.fstat(self._reader).st_mode):
            raise OSError(f"{self._fifo} was replaced")
        os.fchmod(self._reader, 0o620)  # the app's user writes, by the directory's group

    def begin(self) -> asyncio.Task[None]:
        """Copy from now on. The task ends when every writer has gone, or with an OSError."""
        self._copy = asyncio.create_task(self._run(), name=f"output to {self._log_file.name}")
        return self._copy

    async def finish(self) -> bool:
        """Copy the rest; the job is dead. Whether it ever opened its output. Raises OSError."""
        if self._copy is None:
            return False
        opened = self._copy.done() or self._had_writer()
        self._is_last = True
        if self._readable is not None:
            _settle(self._readable)
        await self._copy
        return opened

    def remove(self) -> None:
        """Close and remove everything but the log. Blocks on the disk."""
        for descriptor in (self._reader, self._log):
            if descriptor >= 0:
                os.close(descriptor)
        self._reader = self._log = -1
        self._fifo.unlink(missing_ok=True)

    def _had_writer(self) -> bool:
        look = select.poll()
        look.register(self._reader, select.POLLIN)
        # Ended writers show as POLLHUP, which a FIFO never written to does not have.
        return bool(look.poll(0))

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        more = True
        while more:
            if not self._is_last:
                self._readable = loop.create_future()
                loop.add_reader(self._reader, _settle, self._readable)
                try:
                    await self._readable
                finally:
                    loop.remove_reader(self._reader)
            more = await asyncio.to_thread(self._transfer)

    def _transfer(self) -> bool:
        """Copy what is there; whether more may come."""
        try:
            chunk = os.read(self._reader, _CHUNK)
        except BlockingIOError:
            return not self._is_last
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(self._log, rest) :]
        if os.fstat(self._log).st_size > logs.JOB_LOG_BYTES:
            logs.shorten(self._log_file)
        return bool(chunk)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
