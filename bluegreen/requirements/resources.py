"""Room on the disk and in memory."""

from __future__ import annotations

import psutil

from bluegreen.errors import PreflightError
from bluegreen.sources.disk_space import mebibytes


def unmet_memory(app: str, required: int | None) -> list[PreflightError]:
    """Whether ``required`` bytes are available: free, or at once to be had. Blocking, short."""
    if required is None or (available := psutil.virtual_memory().available) >= required:
        return []
    return [
        PreflightError(
            f"{app}: {mebibytes(required)} of memory are required, and {mebibytes(available)} are "
            "available",
            remedy="end what else takes memory on this host (see it: ps aux --sort=-rss), or "
            "correct requires.memory in the app file",
        )
    ]
