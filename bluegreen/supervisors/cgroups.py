"""The processes of a unit, from its control group."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_MOUNT = Path("/sys/fs/cgroup")


def hierarchy() -> Path:
    """Where systemd's own hierarchy is: of version 2, or of version 1 beside it."""
    if (_MOUNT / "cgroup.controllers").exists():
        return _MOUNT
    both = _MOUNT / "unified"
    return both if both.is_dir() else _MOUNT / "systemd"


def processes(group: str) -> frozenset[int]:
    """The PIDs in a control group (a unit's ``ControlGroup``) and those below. Blocks on /sys."""
    if not group.strip("/"):
        return frozenset()  # a unit that does not run; the root would be everything
    found: set[int] = set()
    for directory, _, _ in os.walk(hierarchy() / group.strip("/")):
        try:
            text = (Path(directory) / "cgroup.procs").read_text()
        except OSError as error:
            # Gone meanwhile, and its processes with it; a threaded one lists them further up.
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                raise
        else:
            found.update(int(pid) for pid in text.split())
    return frozenset(found)
