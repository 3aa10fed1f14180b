"""Telling a full disk from other failures, and saying how much is missing."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path

BLOCK = 4096  # bytes; what a file takes is a multiple of it on the usual file systems

_FULL = (errno.ENOSPC, errno.EDQUOT)
_WORDS = ("No space left on device", "Disk quota exceeded", "ENOSPC", "EDQUOT")


def free_bytes(directory: Path) -> int:
    """What an ordinary user may still write on the file system of ``directory``, or its parent."""
    while not directory.exists():
        directory = directory.parent
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def allocated(size: int) -> int:
    """``size`` bytes rounded up to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def is_full(error: BaseException) -> bool:
    """Whether ``error`` or one of its causes is the kernel's word for a full disk or quota."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__
    return False


def says_full(lines: Sequence[str]) -> bool:
    """Whether a program's output says that the disk is full."""
    return any(word in line for line in lines for word in _WORDS)


def mebibytes(size: int) -> str:
    """``12.3 MiB``: for people."""
    return f"{size / 2**20:.1f} MiB"


def shortage(directory: Path, needed: int | None = None) -> str:
    """A line that says what is free where, and what is needed."""
    free = f"{mebibytes(free_bytes(directory))} free on the file system of {directory}"
    return free if needed is None else f"{free}, about {mebibytes(needed)} needed"
