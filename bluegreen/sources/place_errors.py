"""What an operator reads when a release finds no room, or its place cannot be written."""

from __future__ import annotations

from pathlib import Path

from bluegreen.errors import SourceError
from bluegreen.sources.disk_space import is_full, shortage


def no_room(app: str, place: Path, needed: int | None) -> SourceError:
    """``needed`` in bytes, if that is known."""
    return SourceError(
        f"{app}: there is no room for the release",
        detail=[shortage(place, needed)],
        remedy="free some space there, then deploy again",
    )


def unwritable(app: str, place: Path, error: OSError, *, needed: int | None = None) -> SourceError:
    """The disk may be full, too."""
    if is_full(error):
        return no_room(app, place, needed)
    return SourceError(
        f"{app}: {place} cannot be written: {error.strerror}",
        detail=[str(error)],
        remedy="make it writable for the user that runs the daemon, then deploy again",
    )
