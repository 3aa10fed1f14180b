"""What waits, and what keeps it waiting."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from bluegreen.model import OperationKind


class WaitingRelease(TypedDict):
    """A release that a trigger has asked for; ``why`` it waits is in words."""

    id: int
    version: str | None
    since: float
    requested_by: str
    why: str


class PauseState(TypedDict):
    """The operation of a person since which releases of triggers wait."""

    app: str
    operation: int
    kind: OperationKind
    by: str
    at: float


class QueueState(TypedDict):
    """What waits, in the order of the turns."""

    policy: Literal["latest", "serial", "refuse"]
    webhooks: int
    waiting: list[WaitingRelease]
    paused: PauseState | None


class UnsettledOperation(TypedDict):
    """One that could not be finished or undone yet, and is tried again."""

    id: int
    kind: OperationKind
    version: str | None
    why: str
    remedy: str
    tries: int
    next_try: float


class Resumed(TypedDict):
    app: str
