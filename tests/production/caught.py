"""Holds the daemon by strace in the middle of a system call; it knows nothing of that."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.production.asking import run_file
from tests.production.production import DAEMON, Production
from tests.waiting import PATIENCE

RENAMES = "?rename,renameat,?renameat2"
UNLINKS = "?unlink,unlinkat"
_FOR_EVER = 600_000_000  # microseconds: longer than any test


class Catcher:
    """A strace of the daemon that runs, which it keeps from going on in certain calls."""

    def __init__(self, production: Production) -> None:
        self._production = production
        self._process = Path()  # the daemon's, in /proc of its host
        self._seen: dict[str, set[str]] = {}
        self._strace: asyncio.subprocess.Process | None = None

    async def attach(
        self, paths: Sequence[str], *, before: Sequence[str] = (), after: Sequence[str] = ()
    ) -> None:
        """From now on it is held before or after such calls on one of ``paths``."""
        pid = await self._production.unit(DAEMON, "MainPID")
        self._process = run_file(self._production, "../proc") / pid
        injected = [f"inject={calls}:delay_enter={_FOR_EVER}" for calls in before]
        injected += [f"inject={calls}:delay_exit={_FOR_EVER}" for calls in after]
        expressions = [f"trace={','.join([*before, *after])}", *injected]
        self._strace = await asyncio.create_subprocess_exec(
            *self._production.host.command(
                "strace", "-f", "--detach-on=execve", "-p", pid, "-o", "/dev/null",
                *(word for path in paths for word in ("-P", path)),
                *(word for expression in expressions for word in ("-e", expression)),
            ),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._strace.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while b"attached" not in (line := await self._strace.stderr.readline()):
                assert line, "strace did not attach"

    def has(self, path: str) -> bool:
        """Whether a thread of the daemon is held in a call that names the path, or a file of it.

        Seen twice in succession: one that only looks at that path has gone on by then.
        """
        calls = set(self._calls(path))
        before, self._seen[path] = self._seen.get(path, set()), calls
        return not calls.isdisjoint(before)

    def _calls(self, path: str) -> Iterator[str]:
        """Threads that are in a call with such an argument, and which call it is."""
        process, text = self._process, os.fsencode(path) + b"\0"
        with (process / "mem").open("rb", buffering=0) as memory:
            for task in (process / "task").iterdir():
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                    call = (task / "syscall").read_text()
                    for word in call.split()[1:5]:  # after its number, the first of six arguments
                        with contextlib.suppress(OSError, OverflowError):  # no address
                            if os.pread(memory.fileno(), len(text), int(word, 16)) == text:
                                yield f"{task.name} {call}"
                        with contextlib.suppress(OSError):  # no file
                            if os.readlink(process / "fd" / str(int(word, 16))) == path:
                                yield f"{task.name} {call}"

    async def let_go(self) -> None:
        """It may make the calls that it is held in."""
        if self._strace is not None:
            with contextlib.suppress(ProcessLookupError):
                # Not by a signal that it heeds: it would let the time run out first.
                os.killpg(self._strace.pid, signal.SIGKILL)
            await self._strace.wait()
