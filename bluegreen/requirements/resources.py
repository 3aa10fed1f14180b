"""Room on the disk and in memory."""

from __future__ import annotations

from pathlib import Path

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


def unmet_room(
    app: str, place: Path, *, free: int, needed: int, kept: int, for_data: int = 0
) -> list[PreflightError]:
    """Whether the ``free`` bytes of ``place`` do for a release, with ``kept`` of them left.

    ``for_data`` of those that are ``needed`` are for copies of the app's data.
    """
    if free >= needed + kept:
        return []
    besides = f", {kept // 2**20} MiB are to stay free" if kept else ""
    if for_data:
        besides = f" ({for_data // 2**20} MiB of it for its backup and rehearsal){besides}"
    return [
        PreflightError(
            f"{app}: a release needs about {needed // 2**20} MiB{besides}, and "
            f"{free // 2**20} MiB are free on {place}",
            remedy="free some space there"
            + (", or correct requires.free_disk in the app file" if kept else "")
            + "; nothing was changed",
        )
    ]
