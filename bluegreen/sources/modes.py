"""Modes of files that a group works on, which set-group-ID on their directories says."""

from __future__ import annotations

import stat
from pathlib import Path

_OWNER = 0o700


def is_for_group(directory: Path) -> bool:
    """Whether what is made in ``directory`` belongs to its group."""
    return bool(directory.stat().st_mode & stat.S_ISGID)


def for_group(mode: int) -> int:
    """``mode`` with the owner's permissions for the group too."""
    return mode | (mode & _OWNER) >> 3
