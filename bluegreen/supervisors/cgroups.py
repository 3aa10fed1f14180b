"""A unit's control group: its processes, and what the kernel calls it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

_ENDED = 0  # what the kernel lists a process as that it is about to forget
_MOUNT = Path("/sys/fs/cgroup")


def hierarchy() -> Path:
    """Where systemd's own hierarchy is: of version 2, or of version 1 beside it."""
    if (_MOUNT / "cgroup.controllers").exists():
        return _MOUNT
    both = _MOUNT / "unified"
    return both if both.is_dir() else _MOUNT / "systemd"


def processes(group: str) -> frozenset[int]:
    """The PIDs in a control group (a unit's ``ControlGroup``) and those below. Blocks on /sys."""
    found: set[int] = set()
    for directory in _directories(group):
        try:
            text = (directory / "cgroup.procs").read_text()
        except OSError as error:
            # Gone meanwhile, and its processes with it; a threaded one lists them further up.
            if error.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                raise
        else:
            found.update(int(pid) for pid in text.split())
    return frozenset(found - {_ENDED})


def identities(group: str) -> frozenset[int]:
    """The IDs by which the kernel calls a control group and those below. Blocks on /sys."""
    found = set()
    for directory in _directories(group):
        with contextlib.suppress(FileNotFoundError):  # gone meanwhile
            found.add(directory.stat().st_ino)
    return frozenset(found)


def _directories(group: str) -> Iterator[Path]:
    """None of a unit that does not run: its group would be the root, and so everything."""
    if name := group.strip("/"):
        for directory, _, _ in os.walk(hierarchy() / name):
            yield Path(directory)
