"""Processes named so that a restart, a PID reuse or a clock jump cannot confuse them.

A process is its PID *and* its start time in clock ticks since boot (field 22 of
``/proc/PID/stat``), on one boot. It is watched through a pidfd, which needs no thread and works
for processes that an earlier daemon started too. ``kill -0`` is never asked: it goes on
succeeding on a process that has ended and is not yet reaped.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import resource
import secrets
import signal
import subprocess
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

INVOCATION_VARIABLE = "BLUEGREEN_INVOCATION"
"""In the environment of all that `spawn` starts (as systemd's INVOCATION_ID): tells a process that
has left its session, or whose session's leader is gone, from a stranger."""

# The daemon may raise its own limit; what it starts gets the one it was itself started with.
_OPEN_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
_LIMIT = "unlimited" if _OPEN_FILES == resource.RLIM_INFINITY else str(_OPEN_FILES)

# Started only when it is told to be: the parent records who it is first. Should the parent die
# before that, `read` sees the end of file and nothing is started.
_WAIT_FOR_GO = 'IFS= read -r _bluegreen_go && [ "$_bluegreen_go" = go ] || exit 125; '
_KEEP_LIMIT = f"ulimit -S -n {_LIMIT}; "
# A build is the first to go when memory runs out, and yields the processor to what serves.
_YIELD = "{ echo 500 >/proc/self/oom_score_adj; } 2>/dev/null; "
_SCRIPT = _WAIT_FOR_GO + _KEEP_LIMIT + 'exec "$@" </dev/null'
_GENTLE_SCRIPT = _WAIT_FOR_GO + _KEEP_LIMIT + _YIELD + 'exec nice -n 10 -- "$@" </dev/null'

_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """Which process, beyond doubt. ``start_ticks`` counts from boot."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True, kw_only=True)
class Session:
    """What `spawn` started: the leader of a session, and the mark on everything it starts."""

    leader: ProcessIdentity
    invocation: str


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How a process ended; neither is known of a process that an earlier daemon started."""

    exit_status: int | None = None
    signal: int | None = None

    def __str__(self) -> str:
        if self.signal is not None:
            try:
                return f"killed by {signal.Signals(self.signal).name}"
            except ValueError:
                return f"killed by signal {self.signal}"
        # What shells, and `nice`, end with when they cannot run a command (POSIX, XCU 2.8.2).
        reason = {126: " (command cannot be executed)", 127: " (command not found)"}
        if self.exit_status is not None:
            return f"exit status {self.exit_status}{reason.get(self.exit_status, '')}"
        return "ended (exit status unknown: started by an earlier daemon)"


@functools.cache
def boot_id() -> str:
    """Differs after every boot, so that start times of two boots are never compared."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of ``pid``, or None if there is no such process or it has already ended."""
    found = examine(pid)
    return found[0] if found is not None and found[1] else None


def examine(pid: int) -> tuple[ProcessIdentity, bool] | None:
    """The identity of ``pid`` and whether it is alive; None if there is no such process.

    A zombie is not alive, unless only its first thread has ended and others run on.
    """
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold spaces and parentheses. Then, from proc(5):
    # field 3 is the state, field 20 the number of threads, field 22 the start time.
    fields = text[text.rindex(")") + 2 :].split()
    alive = fields[0] not in "ZX" or int(fields[17]) > 1
    return ProcessIdentity(pid=pid, start_ticks=int(fields[19]), boot_id=boot_id()), alive


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs; a zombie does not."""
    return identify(identity.pid) == identity


class Process:
    """A live process held by its pidfd: no signal can reach another one, its end needs no polling.

    A child of ours stays a zombie until `release`, which keeps its PID, and with it the number of
    its session, from being given to anyone else.
    """

    def __init__(self, identity: ProcessIdentity, descriptor: int) -> None:
        self.identity = identity
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(descriptor, self._on_readable)

    @classmethod
    def hold(cls, identity: ProcessIdentity) -> Process | None:
        """Hold that very process; None when it has ended."""
        try:
            descriptor = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            return None
        # Asked after the descriptor was opened, the answer is about what the descriptor holds.
        if not is_alive(identity):
            os.close(descriptor)
            return None
        return cls(identity, descriptor)

    def _on_readable(self) -> None:
        self._loop.remove_reader(self._descriptor)
        if not self._ended.done():
            self._ended.set_result(None)

    async def wait(self) -> Ending:
        """Wait for the end. Any number of tasks may wait."""
        await asyncio.shield(self._ended)
        return self._ending(os.WNOWAIT)

    def _ending(self, how: int) -> Ending:
        try:
            result = os.waitid(os.P_PIDFD, self._descriptor, os.WEXITED | os.WNOHANG | how)
        except ChildProcessError:
            return Ending()
        if result is None:
            return Ending()
        if result.si_code == os.CLD_EXITED:
            return Ending(exit_status=result.si_status)
        return Ending(signal=result.si_status)

    def send(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when the process has ended, or has become another user."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            signal.pidfd_send_signal(self._descriptor, number)

    def let_go(self) -> None:
        """Close the pidfd, whatever the process does. A child that has ended stays a zombie."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

    def release(self) -> None:
        """Reap the process if it is a child that has ended, and let go."""
        self._ending(0)
        self.let_go()


async def uninterrupted(work: Coroutine[Any, Any, _T], *, name: str) -> _T:
    """Await ``work`` to its end even when cancelled; the cancellation is raised afterwards."""
    task = asyncio.create_task(work, name=name)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from task.exception()
    return task.result()


async def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: int,
    record: Callable[[Session], Awaitable[None]],
    gentle: bool = False,
    inherited: Sequence[int] = (),
) -> tuple[Process, Session]:
    """Start ``argv`` in a session of its own, after ``record`` has kept its identity.

    ``output`` is a file descriptor for standard output and error; standard input is /dev/null and
    nothing else is inherited but the descriptors ``inherited``. The names in ``env`` must be
    identifiers, a shell drops others. ``gentle`` lowers its priority for the processor and raises
    it for the out-of-memory killer. Raises OSError when ``cwd`` is missing, ValueError for a NUL in
    an argument, and whatever ``record`` raises; in all cases, and when cancelled, nothing has been
    started. A program that cannot be executed ends with status 126 or 127 and says why in
    ``output``.
    """
    invocation = secrets.token_hex(16)
    reader, writer = os.pipe()
    try:
        try:
            child = subprocess.Popen(  # noqa: ASYNC220 - returns at once; asyncio's own does the same
                ["/bin/sh", "-c", _GENTLE_SCRIPT if gentle else _SCRIPT, "sh", *argv],
                cwd=cwd, env={**env, INVOCATION_VARIABLE: invocation},
                stdin=reader, stdout=output, stderr=output, start_new_session=True,
                pass_fds=inherited,
            )  # fmt: skip
        finally:
            os.close(reader)
        # A child that is not reaped cannot be another process by now.
        process = Process(_identity_of_child(child.pid), os.pidfd_open(child.pid))
        # The pidfd tells us of the end. Popen's own list of children must not wait for it too.
        child.returncode = 0
        session = Session(leader=process.identity, invocation=invocation)
        try:
            await record(session)
            with contextlib.suppress(BrokenPipeError):  # it was killed; its end will be noticed
                os.write(writer, b"go\n")
        except BaseException:
            process.send(signal.SIGKILL)
            await uninterrupted(process.wait(), name=f"end of {child.pid}")
            process.release()
            raise
    finally:
        os.close(writer)
    return process, session


def _identity_of_child(pid: int) -> ProcessIdentity:
    found = examine(pid)
    if found is None:
        raise OSError(f"process {pid} was reaped by another part of the program")
    return found[0]


def tell_if_failed(task: asyncio.Task[Any]) -> None:
    """As a task's callback: what ends one that nobody awaits is in the log."""
    if not task.cancelled() and (error := task.exception()) is not None:
        task.get_loop().call_exception_handler(
            {"message": f"task {task.get_name()!r} failed", "exception": error, "task": task}
        )
