"""What an operator reads when the disk refuses."""

from __future__ import annotations

import errno

from bluegreen.errors import TrafficError


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
