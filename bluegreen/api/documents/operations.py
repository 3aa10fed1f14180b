"""Operations, their phases, events and output."""

from __future__ import annotations

from typing import Any

from typing_extensions import TypedDict

from bluegreen.model import Lane, OperationKind, OperationState, PhaseName, PhaseState, Slot


class Failure(TypedDict):
    """Why an operation did not succeed."""

    kind: str
    message: str
    remedy: str
    detail: list[str]


class Operation(TypedDict):
    """One thing done to an app."""

    id: int
    app: str
    kind: OperationKind
    lane: Lane
    state: OperationState
    version: str | None
    commit: str | None
    slot: Slot | None
    from_slot: Slot | None
    requested_by: str
    created_at: float
    finished_at: float | None
    error: Failure | None
    acknowledged: list[str]
    manual: bool
    forced: bool
    backup: int | None
    of_switch: bool
    automatic: bool
    attempt: int
    repeats: int | None
    begun_at: float | None


class Phase(TypedDict):
    """One step of an operation; ``seconds`` is null until it is done or failed."""

    phase: PhaseName
    began: float
    state: PhaseState
    seconds: float | None
    data: dict[str, Any]


class OperationInFull(Operation):
    """With its phases, and the names of what has written something."""

    phases: list[Phase]
    output: list[str]


class Operations(TypedDict):
    """The newest first; ``next`` is where the older ones are, or null."""

    operations: list[Operation]
    next: str | None


class Promotion(TypedDict):
    """Where a release stands that `promote` lets go on, and until when it does at the latest.

    ``slot`` is where a preview shows it; null while it is only built. ``share`` is how many percent
    of the clients are there already, ``steps`` which shares there are.
    """

    phase: PhaseName
    since: float
    until: float
    slot: Slot | None
    share: int | None
    steps: list[int]


class RunningOperation(TypedDict):
    """What goes on with an app now."""

    id: int
    kind: OperationKind
    version: str | None
    slot: Slot | None
    phase: PhaseName | None
    undoing: bool
    since: float
    waiting_for: str | None
    promotion: Promotion | None
    requested_by: str


class BriefOperation(TypedDict):
    id: int
    app: str
    state: OperationState


class Event(TypedDict):
    """Something that happened, as the data of a server-sent event."""

    id: int
    operation: int | None
    app: str
    at: float
    kind: str
    data: dict[str, Any]


class LogLine(TypedDict):
    source: str
    line: str
