"""One git at a time in an app's cache, also across a daemon that was killed.

The lock is an flock(2) on a file whose descriptor every git inherits: what an earlier daemon left
running still holds it, is found by it, and is ended before anyone touches the cache again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from weakref import WeakValueDictionary

from bluegreen.errors import SourceError

POLL = 0.05  # seconds between attempts while the ended processes vanish

_locks: WeakValueDictionary[Path, asyncio.Lock] = WeakValueDictionary()


@contextlib.asynccontextmanager
async def cache_lock(file: Path, *, timeout: float) -> AsyncIterator[int]:
    """Hold the lock; gives the descriptor that processes are to inherit.

    Operations of this daemon wait for each other; what another process holds it with is a git of
    an earlier daemon and gets SIGKILL. Raises SourceError after ``timeout`` seconds.
    """
    ours = _locks.setdefault(file, asyncio.Lock())
    try:
        async with asyncio.timeout(timeout):
            await ours.acquire()
    except TimeoutError as error:
        raise _busy(file, timeout) from error
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            await _take(descriptor, file, timeout)
            yield descriptor
        finally:
            os.close(descriptor)
    finally:
        ours.release()


async def _take(descriptor: int, file: Path, timeout: float) -> None:
    deadline = asyncio.get_running_loop().time() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            await asyncio.to_thread(_end_holders, file)
        else:
            return
        if asyncio.get_running_loop().time() >= deadline:
            raise _busy(file, timeout)
        await asyncio.sleep(POLL)


def _end_holders(file: Path) -> None:
    """SIGKILL to every other process of this user that has the lock file open."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid() or not _has_open(int(entry), file):
            continue
        with contextlib.suppress(ProcessLookupError):
            descriptor = os.pidfd_open(int(entry))
            try:
                if _has_open(int(entry), file):  # asked again of what the descriptor holds
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            finally:
                os.close(descriptor)


def _has_open(pid: int, file: Path) -> bool:
    wanted = os.path.realpath(file)
    directory = f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(directory)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False  # it has ended, or is another user's
    for descriptor in descriptors:
        try:
            if os.readlink(f"{directory}/{descriptor}") == wanted:
                return True
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return False


def _busy(file: Path, timeout: float) -> SourceError:
    return SourceError(
        f"the cache {file.parent} is in use by another operation of this app",
        detail=[f"waited {timeout:g} s for {file}"],
        remedy="wait for that operation to end, or cancel it, then try again",
    )
