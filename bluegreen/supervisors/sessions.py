"""The processes that belong to a session, and how they are ended to the last one.

Members are the processes of the session itself and those that have left it with ``setsid`` (a
daemon that forks twice), which still carry the session's invocation in their environment.
A process that has left the session *and* overwritten its environment (some programs that set
their process title do) is not found.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from bluegreen.errors import SupervisorError
from bluegreen.processes import (
    INVOCATION_VARIABLE,
    Process,
    ProcessIdentity,
    Session,
    boot_id,
    examine,
    identify,
    uninterrupted,
)

KILL_WAIT = 10.0  # seconds that a SIGKILLed session is given to vanish
KILL_AGAIN = 0.25  # seconds until what was forked in the meantime is looked for


def _pids() -> Iterator[int]:
    return (int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def _session_id(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None


_MARK = f"{INVOCATION_VARIABLE}=".encode()
_READ = 32 * 1024  # bytes; nearly every environment is shorter


def _invocation(pid: int) -> str | None:
    """What `spawn` put into the environment that the process was started with.

    Only of processes of our own user: reading another one's memory may wait for a lock of its.
    Written for a walk over all processes: plain descriptors, small reads.
    """
    try:
        if os.stat(f"/proc/{pid}").st_uid != os.geteuid():
            return None
        descriptor = os.open(f"/proc/{pid}/environ", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    try:
        environment = part = os.read(descriptor, _READ)
        while len(part) == _READ:
            part = os.read(descriptor, _READ)
            environment += part
    except (ProcessLookupError, PermissionError):
        return None
    finally:
        os.close(descriptor)
    if environment.startswith(_MARK):
        start = len(_MARK)
    elif (found := environment.find(b"\0" + _MARK)) >= 0:
        start = found + 1 + len(_MARK)
    else:
        return None
    return environment[start:].partition(b"\0")[0].decode(errors="replace")


def session_members(session: Session, candidates: Iterable[int]) -> list[ProcessIdentity]:
    """Those of the processes ``candidates`` that live and belong to ``session``. Blocks on /proc.

    The number of a session is not given to another one while it has members or its leader is not
    reaped. Where the leader's PID is another process today, only the invocation counts.
    """
    leader = session.leader
    if leader.boot_id != boot_id():
        return []
    found = examine(leader.pid)
    number = leader.pid if found is None or found[0] == leader else None
    members = []
    for pid in candidates:
        belongs = (number is not None and _session_id(pid) == number) or (
            _invocation(pid) == session.invocation
        )
        if belongs and (identity := identify(pid)) is not None:
            members.append(identity)
    return members


@dataclass(frozen=True)
class _Look:
    """What was seen in one walk through /proc: PIDs by session number and by invocation."""

    by_number: Mapping[int, list[int]]
    by_invocation: Mapping[str, list[int]]

    @classmethod
    def take(cls) -> _Look:
        by_number: defaultdict[int, list[int]] = defaultdict(list)
        by_invocation: defaultdict[str, list[int]] = defaultdict(list)
        for pid in _pids():
            number, invocation = _session_id(pid), _invocation(pid)
            if number is not None:
                by_number[number].append(pid)
            if invocation is not None:
                by_invocation[invocation].append(pid)
        return cls(by_number, by_invocation)


class ProcessTable:
    """Finds the members of sessions, with one walk through /proc for all who ask at a time.

    Several hundred services that stop at once would otherwise walk it several hundred times.
    """

    def __init__(self) -> None:
        self._current: asyncio.Task[_Look] | None = None
        self._next: asyncio.Task[_Look] | None = None

    async def members(self, session: Session) -> list[ProcessIdentity]:
        """The live processes of ``session``."""
        look = await self._look()
        candidates = {
            *look.by_number.get(session.leader.pid, ()),
            *look.by_invocation.get(session.invocation, ()),
        }
        # Asked again of these few: a PID may have changed hands since.
        return await asyncio.to_thread(session_members, session, sorted(candidates))

    async def _look(self) -> _Look:
        # A walk that has begun before the question may have missed what the question is about.
        if self._next is None:
            self._next = asyncio.create_task(self._take(self._current), name="walk through /proc")
        return await asyncio.shield(self._next)

    async def _take(self, previous: asyncio.Task[_Look] | None) -> _Look:
        if previous is not None:
            await asyncio.wait([previous])
        self._current, self._next = self._next, None
        return await asyncio.to_thread(_Look.take)


def leftovers(sessions: Iterable[Session]) -> list[Session]:
    """What still lives of ``sessions``, whose leaders have ended. Blocks on /proc.

    For sessions of an earlier daemon: how long they have been without a leader is not known, and
    their numbers may be another's by now, so that only the invocation proves anything. Each is
    returned with one of its live processes in the place of the leader.
    """
    wanted = {session.invocation for session in sessions}
    if not wanted:
        return []
    found = _Look.take().by_invocation
    return [
        Session(leader=identity, invocation=invocation)
        for invocation in sorted(wanted)
        if (identity := next(filter(None, map(identify, found.get(invocation, ()))), None))
    ]


@contextmanager
def _held(identities: Sequence[ProcessIdentity]) -> Iterator[list[Process]]:
    with contextlib.ExitStack() as stack:
        processes = []
        for identity in identities:
            process = Process.hold(identity)
            if process is not None:
                stack.callback(process.let_go)
                processes.append(process)
        yield processes


async def _wait_for_all(processes: Sequence[Process], timeout: float) -> None:
    """Until all have ended, or ``timeout`` seconds."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout):
            for process in processes:
                await process.wait()


async def _ends_when_asked(session: Session, table: ProcessTable, timeout: float) -> bool:
    """SIGTERM to every member, also to those that appear while others end."""
    deadline = asyncio.get_running_loop().time() + timeout
    asked: set[ProcessIdentity] = set()
    while members := await table.members(session):
        remaining = deadline - asyncio.get_running_loop().time()
        if remaining <= 0:
            return False
        with _held(members) as processes:
            # All of them, as systemd does: a wrapper shell does not pass the signal on.
            for process in processes:
                if process.identity not in asked:
                    process.send(signal.SIGTERM)
                    process.send(signal.SIGCONT)
            asked.update(members)
            await _wait_for_all(processes, remaining)
    return True


def _kill_group(session: Session) -> None:
    """SIGKILL the leader's process group at once, in the kernel.

    This also reaches processes that fork and end faster than /proc is read. Only while the leader
    lives or is not reaped, as the number of the group is certainly ours then.
    """
    found = examine(session.leader.pid)
    if found is not None and found[0] == session.leader:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(session.leader.pid, signal.SIGKILL)


async def _kill(session: Session, table: ProcessTable) -> None:
    _kill_group(session)
    deadline = asyncio.get_running_loop().time() + KILL_WAIT
    while members := await table.members(session):
        if asyncio.get_running_loop().time() >= deadline:
            pids = ", ".join(str(member.pid) for member in members)
            raise SupervisorError(
                f"processes {pids} outlive SIGKILL",
                detail=[f"waited {KILL_WAIT:g} s for session {session.leader.pid}"],
                remedy="they are stuck in the kernel, or run as another user: look at"
                " /proc/PID/status, end what holds them, then try again",
            )
        with _held(members) as processes:
            for process in processes:
                process.send(signal.SIGKILL)
            await _wait_for_all(processes, KILL_AGAIN)


async def end_session(session: Session, table: ProcessTable, *, stop_timeout: float) -> bool:
    """End every process of a session: SIGTERM, ``stop_timeout`` seconds, SIGKILL.

    With a ``stop_timeout`` of 0 SIGKILL comes at once. Returns whether all went without SIGKILL.
    Cancelled, it kills what is left before it lets go. Raises SupervisorError when processes
    outlive SIGKILL.
    """
    graceful = False
    try:
        graceful = await _ends_when_asked(session, table, stop_timeout)
    finally:
        # Also where nothing was seen any more: what forks fast may have been overlooked.
        await uninterrupted(_kill(session, table), name=f"kill session {session.leader.pid}")
    return graceful
