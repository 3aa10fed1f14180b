"""The logs of services and jobs: written by these themselves, so that a service needs no daemon.

A service holds its log open for appending and knows nothing of rotation. So the log is copied to
``LOG.1`` (the older ones move up to ``LOG.2`` …) and then emptied. Between the last look for new
output and the emptying lie some microseconds; what a service writes right then is lost.

A job has one log, whose middle is left out when it grows too long.
"""

from __future__ import annotations

import contextlib
import os
import threading
from datetime import datetime
from pathlib import Path

JOB_LOG_BYTES = 64 * 2**20  # the most that the log of a job holds
KEPT_BYTES = 16 * 2**20  # of its beginning, and of its end, when it has held more

_CHUNK = 1024 * 1024
_shortening = threading.Lock()  # several jobs may write one log


def open_log(path: Path) -> int:
    """A descriptor for appending, directories created. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)


def note(descriptor: int, text: str) -> None:
    """One line of ours among the service's: ``--- bluegreen: TEXT at TIME ---``.

    Left out where the disk is full: the service matters more than the line.
    """
    time = datetime.now().astimezone().isoformat(timespec="seconds")
    with contextlib.suppress(OSError):
        os.write(descriptor, f"--- bluegreen: {text} at {time} ---\n".encode())


def note_in(path: Path, text: str) -> None:
    """The same, into a log that is not open. Blocks on the disk."""
    with contextlib.suppress(OSError):
        descriptor = open_log(path)
        try:
            note(descriptor, text)
        finally:
            os.close(descriptor)


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def rotate(path: Path, *, log_bytes: int, log_files: int) -> None:
    """Rotate the log if it has grown beyond ``log_bytes``.

    ``log_files`` counts the log itself and the older ones kept beside it. Blocks on the disk.
    Raises OSError; then nothing has been lost but the oldest file.
    """
    try:
        if path.stat().st_size <= log_bytes:
            return
    except FileNotFoundError:
        return
    kept = log_files - 1
    # The oldest goes first: on a disk that is nearly full, its place is needed for the copy.
    _numbered(path, max(kept, 1)).unlink(missing_ok=True)
    for number in range(kept - 1, 0, -1):
        with contextlib.suppress(FileNotFoundError):
            os.rename(_numbered(path, number), _numbered(path, number + 1))
    with open(path, "r+b", buffering=0) as log:
        if kept > 0:
            _copy_to(_numbered(path, 1), log.fileno())
        log.truncate(0)


def _copy_to(target: Path, log: int) -> None:
    """Copy the log from where it is read to its end, which may move meanwhile."""
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        while chunk := os.read(log, _CHUNK):
            while chunk:
                chunk = chunk[os.write(descriptor, chunk) :]
    except OSError:
        target.unlink()
        raise
    finally:
        os.close(descriptor)


def shorten(path: Path) -> None:
    """Leave out the middle of a job's log that has grown beyond `JOB_LOG_BYTES`; a line says so.

    Blocks on the disk. Raises OSError.
    """
    with _shortening, contextlib.suppress(FileNotFoundError):
        size = path.stat().st_size
        if size <= JOB_LOG_BYTES:
            return
        with path.open("r+b") as log:
            log.seek(size - KEPT_BYTES)
            end = log.read()
            log.truncate(KEPT_BYTES)
        descriptor = open_log(path)
        with open(descriptor, "ab") as log:
            log.write(b"\n")
            log.flush()
            note(descriptor, f"{size - KEPT_BYTES - len(end)} bytes were left out here")
            log.write(end[end.find(b"\n") + 1 :])
