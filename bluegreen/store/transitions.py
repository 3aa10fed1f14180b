"""Which state may follow which. The schema holds the same tables as CHECK constraints."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from bluegreen.errors import IllegalTransitionError
from bluegreen.model import OperationState, PhaseName, PhaseState

_State = TypeVar("_State", OperationState, PhaseState)

_OUTCOMES = frozenset(state for state in OperationState if state.is_final)

OPERATION_TRANSITIONS: Mapping[OperationState | None, frozenset[OperationState]] = {
    None: frozenset({OperationState.QUEUED}),
    OperationState.QUEUED: frozenset(
        {
            OperationState.RUNNING,
            OperationState.FAILED,
            OperationState.CANCELLED,
            OperationState.SUPERSEDED,
            OperationState.INTERRUPTED,
        }
    ),
    OperationState.RUNNING: _OUTCOMES,
    **{outcome: frozenset() for outcome in _OUTCOMES},
}

PHASE_TRANSITIONS: Mapping[PhaseState | None, frozenset[PhaseState]] = {
    None: frozenset({PhaseState.INTENT}),
    PhaseState.INTENT: frozenset({PhaseState.DONE, PhaseState.FAILED, PhaseState.UNDOING}),
    PhaseState.DONE: frozenset({PhaseState.UNDOING}),
    PhaseState.FAILED: frozenset({PhaseState.UNDOING}),
    # Failed again: the undoing itself failed. It may be tried once more.
    PhaseState.UNDOING: frozenset({PhaseState.UNDONE, PhaseState.FAILED}),
    PhaseState.UNDONE: frozenset(),
}


def _check(
    legal: Mapping[_State | None, frozenset[_State]],
    previous: _State | None,
    state: _State,
    subject: str,
) -> None:
    if state in legal[previous]:
        return
    at = "not begun" if previous is None else previous.value
    may = ", ".join(sorted(legal[previous])) or "nothing"
    raise IllegalTransitionError(
        f"{subject} is {at}: {state.value} cannot follow",
        detail=[f"what may follow: {may}"],
        remedy="`bluegreen history` shows what was recorded; ask for the change anew if you still "
        "want it",
    )


def check_operation_transition(
    operation: int, previous: OperationState | None, state: OperationState
) -> None:
    """Raises IllegalTransitionError unless ``state`` may follow ``previous`` (None: no state)."""
    _check(OPERATION_TRANSITIONS, previous, state, f"operation {operation}")


def check_phase_transition(
    operation: int,
    operation_state: OperationState,
    phase: PhaseName,
    previous: PhaseState | None,
    state: PhaseState,
) -> None:
    """Raises IllegalTransitionError unless ``state`` may follow ``previous`` (None: no state).

    Nothing is recorded of a phase unless its operation is running.
    """
    check_is_running(operation, operation_state, f"a step of its phase {phase.value}")
    _check(PHASE_TRANSITIONS, previous, state, f"phase {phase.value} of operation {operation}")


def check_is_running(operation: int, state: OperationState, recorded: str) -> None:
    """Raises IllegalTransitionError unless the operation is running; ``recorded``: what for."""
    if state is not OperationState.RUNNING:
        raise IllegalTransitionError(
            f"operation {operation} is {state.value}: {recorded} can no longer be recorded"
            if state.is_final
            else f"operation {operation} is {state.value}: {recorded} cannot be recorded yet",
            remedy="`bluegreen history` shows how the operation ended",
        )
