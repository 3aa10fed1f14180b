"""An operation that an earlier daemon or a defect has left: not finished or undone yet."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from bluegreen.errors import BluegreenError, IllegalTransitionError, RefusedError
from bluegreen.model import Operation

RETRY = 2.0  # seconds between attempts to settle what an earlier daemon has left
LONGEST_RETRY = 300.0  # seconds: a defect is tried again after twice as long each time


@dataclass(frozen=True, kw_only=True)
class Unsettled:
    """It holds its app until what ``error`` says is mended: it is tried again and again."""

    operation: Operation
    error: Exception
    tries: int = 1
    at: float = field(default_factory=time.time)  # the last of them; Unix seconds

    def again(self, error: Exception) -> Unsettled:
        """It was tried once more, and ``error`` is what was in the way."""
        return Unsettled(operation=self.operation, error=error, tries=self.tries + 1)

    @property
    def wait(self) -> float:
        """Seconds from that one to the next.

        What an operator can mend is looked at soon; a defect is mended by another bluegreen.
        """
        error = self.error
        if isinstance(error, BluegreenError) and not isinstance(error, IllegalTransitionError):
            return RETRY
        return min(RETRY * 2.0 ** min(self.tries - 1, 30), LONGEST_RETRY)

    @property
    def next_try(self) -> float:
        """In Unix seconds."""
        return self.at + self.wait

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


class AllUnsettled(dict[int, Unsettled]):
    """Those of all apps, by their numbers."""

    def of(self, app: str) -> list[Unsettled]:
        return [one for one in self.values() if one.operation.app == app]
