"""How an operation has ended, and why, as the history keeps it and people are told."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from bluegreen.errors import BluegreenError
from bluegreen.model import OperationError, OperationState, PhaseName, PhaseState, Slot
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.triggers import NothingToDoError

_BEFORE_TRAFFIC = "nothing that serves was touched"


class UnexpectedError(BluegreenError):
    """A defect of ours, reported without its stack trace, which is in the daemon's log."""

    kind: ClassVar[str] = "internal"


def ended_by_operator(run: Run) -> OperationState:
    """Of an operation that was ended after its switch."""
    if run.interruption is not Interruption.SWITCH_BACK:
        return OperationState.CANCELLED
    moved = run.app.active is not run.target
    return OperationState.ROLLED_BACK if moved else OperationState.SUPERSEDED


def outcome_of(run: Run, error: BluegreenError | None, switched_back: bool) -> OperationState:
    if switched_back:
        return OperationState.ROLLED_BACK
    if isinstance(error, NothingToDoError):
        return OperationState.SUPERSEDED
    if error is not None:
        return OperationState.FAILED
    return {
        Interruption.CANCEL: OperationState.CANCELLED,
        Interruption.SWITCH_BACK: OperationState.SUPERSEDED,
        Interruption.NEWER: OperationState.SUPERSEDED,
        Interruption.SHUTDOWN: OperationState.INTERRUPTED,
        None: OperationState.INTERRUPTED,
    }[run.interruption]


def reason_of(run: Run, error: BluegreenError | None) -> OperationError:
    serving = run.app.active
    proved = run.operation.kind.is_of_data or run.recorded.get(PhaseName.WATCH) is PhaseState.DONE
    if error is not None and run.switched and serving is run.target and not proved:
        label = run.app.slots[serving].label
        return replace(
            as_reason(error),
            detail=(f"there was no way back: {serving} serves {label}", *error.detail),
            remedy=f"{label} serves and is not well: deploy another version, or see "
            f"bluegreen status {run.app.name}",
        )
    if error is not None:
        return as_reason(error)
    if run.interruption is Interruption.SWITCH_BACK:  # which is about to say what serves
        return OperationError(
            kind="switch_back",
            message=run.interruption.value,
            remedy=f"see where it stands: bluegreen status {run.app.name}",
        )
    closed = run.app.parts.traffic.read(run.app.name).closed
    if closed:
        serving = None
    return OperationError(
        kind=run.interruption.name.lower() if run.interruption else "interrupted",
        message=f"{_because(run) if run.interruption else 'the daemon ended in the middle'}; "
        + _whereabouts(run, serving, closed=closed),
        remedy=f"see where it stands: bluegreen status {run.app.name}",
    )


def with_what_is_left(run: Run, reason: OperationError) -> OperationError:
    """With what became of the app's data, where that is not as it was."""
    left, remedy = run.migrating.left, run.migrating.remedy
    if not left:
        return reason
    return replace(reason, detail=(*reason.detail, *left), remedy=f"{reason.remedy}; {remedy}")


def _because(run: Run) -> str:
    return run.interruption.value if run.interruption else "it failed"


def _whereabouts(run: Run, serving: Slot | None, *, closed: bool) -> str:
    if serving is not None:
        return f"{serving} serves {run.app.slots[serving].label}"
    if closed and run.app.active is not None:
        return "it is out of service"
    return _BEFORE_TRAFFIC


def as_reason(error: BluegreenError) -> OperationError:
    """The error as it is kept in the history."""
    return OperationError(
        kind=error.kind, message=error.message, remedy=error.remedy, detail=error.detail
    )


def unexpected(error: Exception) -> UnexpectedError:
    """What an operator is told of a defect; its trace goes to the daemon's log."""
    return UnexpectedError(
        f"unexpected {type(error).__name__}: {error}",
        remedy="this is a defect of bluegreen; the daemon's log has its trace, please report it",
    )
