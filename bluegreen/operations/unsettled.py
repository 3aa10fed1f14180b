"""An operation that an earlier daemon or a defect has left: not finished or undone yet."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import Operation


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """It holds its app until what ``error`` says is mended: it is tried again and again.

    ``next_try`` is in Unix seconds.
    """

    operation: Operation
    error: Exception
    tries: int = 1
    next_try: float = 0.0

    @property
    def why(self) -> str:
        return self.error.message if isinstance(self.error, BluegreenError) else str(self.error)

    @property
    def mend(self) -> str:
        """What to do about it."""
        if isinstance(self.error, BluegreenError):
            return self.error.remedy
        return "the daemon's log has more of it"

    def refusal(self) -> RefusedError:
        """Why it cannot be cancelled, and what to do instead."""
        app, number = self.operation.app, self.operation.id
        return RefusedError(
            f"{app} is held by operation {number} ({self.operation.kind}), which an earlier daemon "
            "or a defect has left and which could not be finished or undone yet",
            detail=[self.why],
            remedy=f"{self.mend}; it is tried again until then, and ends by itself: "
            f"bluegreen logs {app} {number} --follow",
        )
