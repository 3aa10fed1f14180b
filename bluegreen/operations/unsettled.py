"""An operation that an earlier daemon or a defect has left: not finished or undone yet."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import Operation


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """It holds its app until what ``error`` says is mended: it is tried again and again."""

    operation: Operation
    error: Exception

    def refusal(self) -> RefusedError:
        """Why it cannot be cancelled, and what to do instead."""
        app, number = self.operation.app, self.operation.id
        if isinstance(self.error, BluegreenError):
            why, mend = self.error.message, self.error.remedy
        else:
            why, mend = str(self.error), "the daemon's log has more of it"
        return RefusedError(
            f"{app} is held by operation {number} ({self.operation.kind}), which an earlier daemon "
            "or a defect has left and which could not be finished or undone yet",
            detail=[why],
            remedy=f"{mend}; it is tried again until then, and ends by itself: "
            f"bluegreen logs {app} {number} --follow",
        )
