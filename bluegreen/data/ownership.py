"""Whose a file is and who may use it, as far as whoever restores it may say so."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path


def give(to: int | Path, uid: int, gid: int, mode: int) -> None:
    """Owner, group and mode; raises OSError.

    Only root gives away: what anyone else restores is their own, and gets one of their own groups.
    """
    if os.geteuid() == 0:
        os.chown(to, uid, gid)  # before the mode, of which it clears bits
    else:
        with contextlib.suppress(PermissionError):
            os.chown(to, -1, gid)
    try:
        os.chmod(to, stat.S_IMODE(mode))
    except PermissionError:
        # The sandbox of a job keeps set-ID bits from being set, and so does a group not our own.
        os.chmod(to, stat.S_IMODE(mode) & ~(stat.S_ISUID | stat.S_ISGID))


def give_as(to: int | Path, like: Path) -> None:
    """The same, as ``like`` has it. Raises OSError."""
    status = like.stat()
    give(to, status.st_uid, status.st_gid, status.st_mode)
