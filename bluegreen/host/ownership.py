"""Whose it is to say what a path leads to."""

from __future__ import annotations

import os
import stat
from pathlib import Path

LINKS = 40  # followed at most, as the kernel does


def changeable_by_others(path: Path) -> Path | None:
    """What on the way to ``path``, or it itself, somebody besides root may change; None: nothing.

    Links are followed. What does not exist is nobody's. Blocking, short. Raises OSError.
    """
    return _changeable(path, LINKS)


def _changeable(path: Path, links: int) -> Path | None:
    for step in (*reversed(path.parents), path):
        try:
            found = step.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        if found.st_uid != 0:
            return step
        if stat.S_ISLNK(found.st_mode):
            if links == 0:
                return step
            # No link is on the way to this one, so that its ``..`` are what they look like.
            target = Path(os.path.normpath(step.parent / os.readlink(step)))
            rest = path.relative_to(step)
            return _changeable(target / rest, links - 1)
        if found.st_mode & 0o022:  # a directory with its sticky bit too: what is missing is made
            return step
    return None
