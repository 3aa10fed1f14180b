"""One daemon a root: who it is, and that there is no second one."""

from __future__ import annotations

import contextlib
import os

TYPE_CHECKING = False  # typing's own, without the time that importing typing takes
if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluegreen.layout import Layout


@contextlib.contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """Hold the root; RefusedError when another daemon does.

    What is locked is the directory that holds the apps, with all that they are: nobody removes
    that to get past a lock, and on a host no other user may open it, to lock it. The file of the
    PID is for whoever looks; it may go.
    """
    import fcntl

    from bluegreen.errors import RefusedError

    descriptor = os.open(layout.apps, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RefusedError(
                f"a daemon already serves {layout.root} (pid {holder(layout.root) or 'unknown'})",
                remedy="use it, or end it first; another --root is another daemon",
            ) from error
        if not os.path.samestat(os.fstat(descriptor), os.stat(layout.apps)):
            raise RefusedError(
                f"{layout.apps} was replaced while the daemon started",
                remedy="start it again once nobody moves directories there",
            )
        _note(layout.daemon_pid)
        yield
    finally:
        os.close(descriptor)


def holder(root: str | os.PathLike[str]) -> int | None:
    """The PID of the root's daemon; looked up, as to try its lock would hold it too.

    None: nobody, or nothing that whoever asks may know.
    """
    try:
        found = os.stat(os.path.join(root, "var/lib/bluegreen/apps"))
        with open("/proc/locks") as locks:
            entries = [line.split() for line in locks]
    except OSError:
        return None
    noted = _noted(os.path.join(root, "run/bluegreen/daemon.pid"))
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    holders = {}
    for entry in entries:  # "1: FLOCK ADVISORY WRITE 2117 08:01:1835 0 EOF", of proc_locks(5)
        where, _, inode = entry[5].rpartition(":")
        if entry[1] == "FLOCK" and inode == str(found.st_ino):
            holders[entry[4]] = where
    if noted in holders:
        return int(noted)
    # Without that file only the device tells it from an inode of the same number elsewhere.
    return next((int(pid) for pid, where in holders.items() if where == device), None)


def _note(file: Path) -> None:
    with contextlib.suppress(OSError):  # the daemon serves without it
        file.touch(mode=0o600)
        file.write_text(f"{os.getpid()}\n")


def _noted(file: str) -> str:
    try:
        with open(file) as opened:
            return opened.read(32).strip()
    except (OSError, ValueError):
        return ""
