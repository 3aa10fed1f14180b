"""Processes named so that a restart, a PID reuse or a clock jump cannot confuse them.

A process is its PID *and* its start time in clock ticks since boot (field 22 of
``/proc/PID/stat``), on one boot. Each process is started in a session of its own, so that all it
starts can be found and ended with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

KILL_WAIT = 10.0  # seconds that a SIGKILLed session is given to vanish
POLL = 0.02  # seconds between looks at a session that is ending

# A session of its own, started only when it is told to be: the parent records who it is first.
# Should the parent die before that, `read` sees the end of file and nothing is started.
_WAIT_FOR_GO = 'IFS= read -r go && [ "$go" = go ] && exec "$@" </dev/null'
# A build is the first to go when memory runs out, and yields the processor to what serves.
_WAIT_FOR_GO_GENTLY = (
    "IFS= read -r go && [ \"$go\" = go ] && { echo 500 >/proc/self/oom_score_adj; } 2>/dev/null; "
    '[ "$go" = go ] && exec nice -n 10 "$@" </dev/null'
)


@dataclass(frozen=True, kw_only=True)
class ProcessIdentity:
    """Which process, beyond doubt. ``start_ticks`` counts from boot."""

    pid: int
    start_ticks: int
    boot_id: str


@dataclass(frozen=True)
class _Stat:
    pid: int
    state: str
    session: int
    start_ticks: int


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may itself hold spaces and parentheses.
    fields = text[text.rindex(")") + 2 :].split()
    return _Stat(pid=pid, state=fields[0], session=int(fields[3]), start_ticks=int(fields[19]))


def identify(pid: int) -> ProcessIdentity | None:
    """The identity of ``pid``, or None if there is no such process or it has already ended."""
    stat = _stat(pid)
    if stat is None or stat.state in "ZX":
        return None
    return ProcessIdentity(pid=pid, start_ticks=stat.start_ticks, boot_id=boot_id())


def is_alive(identity: ProcessIdentity) -> bool:
    """Whether that very process still runs; a zombie does not."""
    return identify(identity.pid) == identity


def session_members(identity: ProcessIdentity) -> list[int]:
    """The PIDs of the live processes in the session that ``identity`` leads or led.

    Empty when the PID has been given to another process: the kernel does not do that while the
    old session has members.
    """
    if identity.boot_id != boot_id():
        return []
    leader = _stat(identity.pid)
    if leader is not None and leader.start_ticks != identity.start_ticks:
        return []
    members = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat is not None and stat.session == identity.pid and stat.state not in "ZX":
                members.append(stat.pid)
    return members


async def spawn(
    argv: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    output: int,
    record: Callable[[ProcessIdentity], Awaitable[None]],
    gentle: bool = False,
) -> tuple[asyncio.subprocess.Process, ProcessIdentity]:
    """Start ``argv`` in a session of its own, after ``record`` has kept its identity.

    ``output`` is a file descriptor for standard output and error. Raises OSError when ``cwd`` is
    missing, and whatever ``record`` raises; in both cases nothing has been started. A program that
    cannot be executed ends with status 126 or 127 and says why in ``output``.
    """
    script = _WAIT_FOR_GO_GENTLY if gentle else _WAIT_FOR_GO
    process = await asyncio.create_subprocess_exec(
        "/bin/sh", "-c", script, "sh", *argv,
        cwd=cwd, env=dict(env), stdin=asyncio.subprocess.PIPE, stdout=output, stderr=output,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdin is not None
    try:
        identity = identify(process.pid)
        if identity is None:
            raise OSError(f"{argv[0]} ended before it was started")
        await record(identity)
        process.stdin.write(b"go\n")
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        process.stdin.close()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.stdin.close()
        raise
    return process, identity


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)


async def _vanished(identity: ProcessIdentity, timeout: float) -> bool:
    deadline = asyncio.get_running_loop().time() + timeout
    while await asyncio.to_thread(session_members, identity):
        if asyncio.get_running_loop().time() >= deadline:
            return False
        await asyncio.sleep(POLL)
    return True


async def end_session(identity: ProcessIdentity, *, stop_timeout: float) -> bool:
    """End every process of a session: SIGTERM, ``stop_timeout`` seconds, SIGKILL.

    Returns whether all went by themselves. Cancelled, it kills what is left before it lets go.
    Raises TimeoutError when processes outlive SIGKILL (stuck in the kernel).
    """
    try:
        if stop_timeout > 0:
            # All of them, as systemd does: a wrapper shell does not pass the signal on.
            _signal(await asyncio.to_thread(session_members, identity), signal.SIGTERM)
            if await _vanished(identity, stop_timeout):
                return True
    finally:
        graceful = not (members := session_members(identity))
        _signal(members, signal.SIGKILL)
    if not await _vanished(identity, KILL_WAIT):
        raise TimeoutError(f"session {identity.pid} outlives SIGKILL")
    return graceful
