"""Where MONITOR_ALONE is set: what two of this app at once would do twice, as a scheduler does.

Each api keeps ``data/alone`` locked while it runs. One that finds it locked goes on all the same,
and leaves a line in ``data/overlaps``.
"""

from __future__ import annotations

import fcntl
import os
from typing import IO

from .release import ROOT, Release


def held_alone(release: Release) -> IO[str] | None:
    """The lock, which the caller keeps; None where nobody asked for it."""
    if not os.environ.get("MONITOR_ALONE"):
        return None
    (ROOT / "data").mkdir(exist_ok=True)
    lock = (ROOT / "data/alone").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        with (ROOT / "data/overlaps").open("a") as overlaps:
            overlaps.write(f"{release.version} {release.slot}\n")
    return lock
