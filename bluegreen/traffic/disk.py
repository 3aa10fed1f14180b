"""What an operator reads when the disk refuses."""

from __future__ import annotations

import errno

from bluegreen.errors import TrafficError


def unsafe(app: str, error: OSError) -> str:
    """What an operator reads when a marker has moved, and its directory could not be flushed."""
    return (
        f"{app}: the traffic has moved, but the disk did not take that for good "
        f"({error.strerror}): a power cut may move it back; see that the disk is well (dmesg)"
    )


def disk_error(what: str, error: OSError) -> TrafficError:
    """``error`` as a TrafficError: ``what`` did not happen, and what to do."""
    remedies = {
        errno.ENOSPC: "free some space and try again",
        errno.EDQUOT: "raise the quota and try again",
        errno.EROFS: "the file system is read-only: find out why (dmesg), then try again",
        errno.EACCES: "give the daemon's user the right to write there, then try again",
    }
    return TrafficError(
        f"{what}: {error.strerror}",
        detail=[str(error.filename)] if error.filename else (),
        remedy=remedies.get(error.errno or 0, "see that the disk is well, then try again"),
    )
