"""A command on a terminal of its own, and what it shows there."""

from __future__ import annotations

import asyncio
import os
import pty
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from tests.stack import PYTHON, Stack
from tests.waiting import PATIENCE

READ = 4096  # bytes


class Terminal:
    """Our side of a terminal on which ``process`` runs."""

    def __init__(self, descriptor: int, process: asyncio.subprocess.Process) -> None:
        self.descriptor = descriptor  # what is written there is typed
        self.process = process
        self.shown = b""

    async def until(self, seen: Callable[[bytes], bool]) -> None:
        """Read on until ``seen`` is true of all that was shown, or nothing comes any more."""
        async with asyncio.timeout(PATIENCE):
            while not seen(self.shown):
                try:
                    self.shown += await asyncio.to_thread(os.read, self.descriptor, READ)
                except OSError:  # EIO: nobody has the other side open
                    return

    async def ended(self) -> int:
        """Read to the end; the exit status."""
        await self.until(lambda _: False)
        return await asyncio.wait_for(self.process.wait(), PATIENCE)


@asynccontextmanager
async def on_terminal(stack: Stack, *arguments: str, **environment: str) -> AsyncIterator[Terminal]:
    """``bluegreen ARGUMENTS`` with all its output on a terminal of 100 columns."""
    ours, theirs = pty.openpty()
    variables = {"COLUMNS": "100", "LINES": "40", "TERM": "xterm", "PYTHONUTF8": "1"}
    process = await asyncio.create_subprocess_exec(
        # Whoever starts the tests in the background has SIGINT ignored.
        "env", "--default-signal=INT", PYTHON, "-m", "bluegreen", *arguments,
        "--root", str(stack.root),
        stdin=theirs, stdout=theirs, stderr=theirs, env=os.environ | variables | environment,
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
