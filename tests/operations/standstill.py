"""Brings a running daemon to a standstill after each step that changes the disk, from outside.

strace stops the whole daemon (SIGSTOP) as it makes a commit durable, renames or removes a file.
Whoever looks then sees the disk as a SIGKILL at that very moment would leave it, and may give it.
The daemon itself knows nothing of this, and its children are not traced beyond their ``execve``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.stack import Stack
from tests.waiting import PATIENCE

# A name with "?" does not exist on every architecture.
RENAMES = "?rename,renameat,?renameat2"
STEPS = f"fdatasync,{RENAMES},?unlink,unlinkat"

LATE = 0.3  # seconds after which a thread that still runs has missed the signal
IDLE = 5.0  # seconds without a step, after which one that should run may have been stopped late

_PATH = re.compile(r'"([^"]*)"|<(/[^>]*)>')
_CALL = re.compile(r"(\d+) +(\w+)\((.*)\) += 0")
_UNFINISHED = re.compile(r"(\d+) +(\w+)\((.*?) *<unfinished \.\.\.>")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)\) += 0")
_STOPPED = re.compile(r"(\d+) +--- stopped by SIGSTOP ---")


@dataclass(frozen=True, kw_only=True)
class Step:
    """A system call that has succeeded. ``path`` is the last one that it names."""

    call: str
    path: Path


class Standstill:
    """The daemon of ``stack`` while strace holds it. Made by :func:`held`."""

    def __init__(self, stack: Stack, strace: asyncio.subprocess.Process) -> None:
        assert stack.daemon is not None
        self._daemon = stack.daemon
        self._strace = strace
        self._unfinished: dict[str, str] = {}
        self._reading: asyncio.Task[bytes] | None = None

    async def next(self) -> list[Step]:
        """Wait until all threads of the daemon are stopped; the steps since the last time."""
        async with asyncio.timeout(PATIENCE):
            steps: list[Step] = []
            stopped: set[int] = set()
            # Looked at whenever something is said or nothing is: the last thread that runs may
            # end instead of being stopped.
            while not stopped or not stopped >= self._threads():
                line = await self._line(stopping=bool(stopped))
                steps += self._steps(line)
                if found := _STOPPED.match(line):
                    stopped.add(int(found[1]))
            return steps

    async def _line(self, *, stopping: bool) -> str:
        """What strace says next; nothing, once it is silent for long.

        Then a thread that was born as the others stopped is told again, and so is one that a stop
        has met after it was told to go on.
        """
        assert self._strace.stdout is not None
        if self._reading is None:
            self._reading = asyncio.create_task(
                self._strace.stdout.readline(), name="what strace says next"
            )
        if not (await asyncio.wait([self._reading], timeout=LATE if stopping else IDLE))[0]:
            self._daemon.send_signal(signal.SIGSTOP if stopping else signal.SIGCONT)
            return ""
        line = self._reading.result().decode(errors="replace")
        self._reading = None
        assert line, "the daemon or strace has ended"
        return line

    async def close(self) -> None:
        """Nothing is read from strace any more; somebody else may."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def go_on(self) -> None:
        if self._daemon.returncode is None:
            self._daemon.send_signal(signal.SIGCONT)

    def _threads(self) -> set[int]:
        return {int(name) for name in os.listdir(f"/proc/{self._daemon.pid}/task")}

    def _steps(self, line: str) -> Iterator[Step]:
        if found := _UNFINISHED.match(line):
            self._unfinished[found[1]] = found[3]
            return
        arguments = ""
        if resumed := _RESUMED.match(line):
            arguments = self._unfinished.pop(resumed[1], "")
        if found := resumed or _CALL.match(line):
            # A relative path comes after the directory that it is in.
            paths = _PATH.findall(arguments + found[3])
            yield Step(call=found[2], path=Path(*("".join(path) for path in paths)))


@contextlib.asynccontextmanager
async def held(stack: Stack) -> AsyncIterator[Standstill]:
    """Attach to the daemon of ``stack``; from now on it stands still after each step."""
    options = ["-y", "-s", "4096", "-e", f"trace={STEPS}", "-e", f"inject={STEPS}:signal=SIGSTOP"]
    async with contextlib.AsyncExitStack() as detached:
        strace = await detached.enter_async_context(_attached(stack, *options))
        standstill = Standstill(stack, strace)
        try:
            yield standstill
        finally:
            await standstill.close()
            standstill.go_on()
            await detached.aclose()
            standstill.go_on()  # it may have come to a step as strace let go of it


@contextlib.asynccontextmanager
async def killed_before_rename_of(
    stack: Stack, path: Path, calls: str = RENAMES
) -> AsyncIterator[None]:
    """SIGKILL the daemon as it asks the kernel to rename ``path``, which is not done any more.

    Or for the first of other ``calls`` on it. The block makes it do so.
    """
    assert stack.daemon is not None
    options = ["-P", str(path), "-e", f"inject={calls}:signal=SIGKILL"]
    async with _attached(stack, *options):
        yield
        await asyncio.wait_for(stack.daemon.wait(), PATIENCE)


@contextlib.asynccontextmanager
async def failing(stack: Stack, calls: str, error: str, path: Path) -> AsyncIterator[None]:
    """Let the daemon's ``calls`` on ``path`` fail with ``error`` while the block runs."""
    async with _attached(stack, "-P", str(path), "-e", f"inject={calls}:error={error}"):
        yield


@contextlib.asynccontextmanager
async def _attached(stack: Stack, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    assert stack.daemon is not None
    strace = await asyncio.create_subprocess_exec(
        "strace", "-f", "--detach-on=execve", "-p", str(stack.daemon.pid), "-o", "/dev/stdout",
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert strace.stderr is not None
    rest: asyncio.Task[None] | None = None
    try:
        attached = await asyncio.wait_for(_attachment(strace.stderr), PATIENCE)
        assert attached, "strace did not attach"
        rest = asyncio.create_task(_drain(strace.stderr), name="what strace says")
        yield strace
    finally:
        with contextlib.suppress(ProcessLookupError):
            strace.terminate()
        if strace.stdout is not None:
            await _drain(strace.stdout)
        if rest is not None:
            await rest
        await strace.wait()


async def _attachment(errors: asyncio.StreamReader) -> bool:
    while line := await errors.readline():
        if b"attached" in line:
            return True
    return False


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.read(65536):
        continue
