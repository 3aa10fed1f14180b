"""Every pair of states, in the code and against the bare database."""

from __future__ import annotations

import sqlite3
from itertools import pairwise, product

import pytest

from bluegreen.errors import IllegalTransitionError
from bluegreen.model import OperationState, PhaseName, PhaseState
from bluegreen.store.transitions import (
    OPERATION_TRANSITIONS,
    PHASE_TRANSITIONS,
    check_operation_transition,
    check_phase_transition,
)
from tests.store.rows import add_operation, add_phase, add_state, bare_schema

OPERATION_PAIRS = list(product([None, *OperationState], OperationState))
PHASE_PAIRS = list(product([None, *PhaseState], PhaseState))


def test_the_tables_speak_of_every_state() -> None:
    assert set(OPERATION_TRANSITIONS) == {None, *OperationState}
    assert set(PHASE_TRANSITIONS) == {None, *PhaseState}


def test_an_outcome_is_final() -> None:
    for state in OperationState:
        assert state.is_final == (not OPERATION_TRANSITIONS[state])


@pytest.mark.parametrize(("previous", "state"), OPERATION_PAIRS)
def test_the_code_allows_an_operation_what_the_table_says(
    previous: OperationState | None, state: OperationState
) -> None:
    if state in OPERATION_TRANSITIONS[previous]:
        check_operation_transition(7, previous, state)
    else:
        with pytest.raises(IllegalTransitionError, match="operation 7") as refusal:
            check_operation_transition(7, previous, state)
        assert refusal.value.remedy


@pytest.mark.parametrize(("previous", "state"), PHASE_PAIRS)
def test_the_code_allows_a_phase_what_the_table_says(
    previous: PhaseState | None, state: PhaseState
) -> None:
    arguments = (7, OperationState.RUNNING, PhaseName.BUILD, previous, state)
    if state in PHASE_TRANSITIONS[previous]:
        check_phase_transition(*arguments)
    else:
        with pytest.raises(IllegalTransitionError, match="phase build of operation 7"):
            check_phase_transition(*arguments)


@pytest.mark.parametrize("state", [s for s in OperationState if s is not OperationState.RUNNING])
def test_the_code_refuses_a_phase_of_an_operation_that_is_not_running(
    state: OperationState,
) -> None:
    with pytest.raises(IllegalTransitionError, match=f"operation 7 is {state.value}"):
        check_phase_transition(7, state, PhaseName.BUILD, None, PhaseState.INTENT)


@pytest.mark.parametrize(("previous", "state"), OPERATION_PAIRS)
def test_the_check_constraint_allows_an_operation_what_the_table_says(
    previous: OperationState | None, state: OperationState
) -> None:
    with bare_schema() as database:
        # Without the trigger, the pair itself is all that is judged.
        database.execute("DROP TRIGGER operation_states_follow")
        operation = add_operation(database)
        if state in OPERATION_TRANSITIONS[previous]:
            add_state(database, operation, previous, state)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="legal_transition"):
                add_state(database, operation, previous, state)


@pytest.mark.parametrize(("previous", "state"), PHASE_PAIRS)
def test_the_check_constraint_allows_a_phase_what_the_table_says(
    previous: PhaseState | None, state: PhaseState
) -> None:
    with bare_schema() as database:
        database.execute("DROP TRIGGER phases_follow")
        operation = add_operation(database)
        add_state(database, operation, None, "queued")
        add_state(database, operation, "queued", "running")
        if state in PHASE_TRANSITIONS[previous]:
            add_phase(database, operation, previous, state)
        else:
            with pytest.raises(sqlite3.IntegrityError, match="legal_transition"):
                add_phase(database, operation, previous, state)


def _walk_to(database: sqlite3.Connection, operation: int, state: OperationState) -> None:
    """Bring an operation to ``state`` by legal steps."""
    add_state(database, operation, None, "queued")
    if state is OperationState.QUEUED:
        return
    add_state(database, operation, "queued", "running")
    if state is not OperationState.RUNNING:
        add_state(database, operation, "running", state)


@pytest.mark.parametrize(("present", "claimed"), list(product(OperationState, OperationState)))
def test_the_database_refuses_a_previous_state_that_is_not_the_latest(
    present: OperationState, claimed: OperationState
) -> None:
    with bare_schema() as database:
        operation = add_operation(database)
        _walk_to(database, operation, present)
        for state in OPERATION_TRANSITIONS[claimed] if claimed is not present else ():
            with pytest.raises(sqlite3.IntegrityError, match="not the latest state"):
                add_state(database, operation, claimed, state)


@pytest.mark.parametrize("state", [s for s in OperationState if s is not OperationState.RUNNING])
def test_the_database_refuses_a_phase_of_an_operation_that_is_not_running(
    state: OperationState,
) -> None:
    with bare_schema() as database:
        operation = add_operation(database)
        _walk_to(database, operation, state)
        with pytest.raises(sqlite3.IntegrityError, match="not running"):
            add_phase(database, operation, None, "intent")


def test_the_database_refuses_a_second_intent_of_a_phase() -> None:
    with bare_schema() as database:
        operation = add_operation(database)
        _walk_to(database, operation, OperationState.RUNNING)
        add_phase(database, operation, None, "intent")
        with pytest.raises(sqlite3.IntegrityError, match="not the latest state of the phase"):
            add_phase(database, operation, None, "intent")


def test_an_undoing_that_failed_may_be_tried_again() -> None:
    with bare_schema() as database:
        operation = add_operation(database)
        _walk_to(database, operation, OperationState.RUNNING)
        steps = [None, "intent", "done", "undoing", "failed", "undoing", "undone"]
        for previous, state in pairwise(steps):
            add_phase(database, operation, previous, str(state))


@pytest.mark.parametrize("state", ["queued", "running", "succeeded"])
def test_the_database_refuses_an_error_of_an_operation_without_a_bad_end(state: str) -> None:
    with bare_schema() as database:
        operation = add_operation(database)
        database.execute("DROP TRIGGER operation_states_follow")
        previous = {"queued": None, "running": "queued", "succeeded": "running"}[state]
        with pytest.raises(sqlite3.IntegrityError, match="error_of_a_bad_end"):
            database.execute(
                "INSERT INTO operation_states (operation, previous, state, at, error)"
                " VALUES (?, ?, ?, 1.0, '{}')",
                (operation, previous, state),
            )
