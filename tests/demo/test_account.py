"""What the demo keeps account of."""

from __future__ import annotations

from typing import Any

import pytest

from bluegreen.demo.account import Account, check, failed_phase, marks_of, switch_times
from bluegreen.demo.telling import outcome_lines, refusal_lines
from bluegreen.model import Slot


def phase(name: str, state: str, at: float) -> dict[str, Any]:
    return {"kind": "phase", "at": at, "data": {"phase": name, "state": state}}


def ended(state: str, **more: Any) -> dict[str, Any]:
    return {
        "app": "monitor", "kind": "deploy", "version": "v2", "state": state, "created_at": 100.0,
        "finished_at": 103.5, "slot": "green", "from_slot": "blue", "error": None, **more,
    }  # fmt: skip


def test_what_did_not_come_true_is_kept_with_what_there_was_instead() -> None:
    account = Account()
    for each in (check(True, "exit status 0", found="0"), check(False, "v1 serves", found="v2")):
        account.expect(held=each.held, text=each.text)
    assert account.held == 1
    assert account.not_held == ["v1 serves (found: v2)"]


def test_the_p99_of_switches_is_one_of_their_times() -> None:
    times = switch_times([0.001 * number for number in range(100, 0, -1)])
    assert times is not None
    assert times.median == pytest.approx(0.0505)
    assert (times.count, times.p99, times.slowest) == (100, 0.099, 0.1)
    assert switch_times([]) is None


def test_a_deploy_marks_when_traffic_moved_and_not_when_it_was_typed() -> None:
    documents = [
        {"kind": "probe", "at": 100.5, "data": {}},
        phase("switch", "intent", 101.0),
        phase("switch", "done", 101.25),
        ended("succeeded"),
    ]
    (mark,) = marks_of(documents)
    assert (mark.at, mark.label, mark.slot, mark.took) == (101.0, "deploy v2", Slot.GREEN, 0.25)


def test_a_release_that_is_taken_back_marks_both_ways() -> None:
    documents = [
        phase("switch", "intent", 101.0),
        phase("switch", "done", 101.5),
        phase("watch", "failed", 103.0),
        phase("switch", "undoing", 103.0),
        phase("switch", "undone", 103.25),
        ended("rolled_back"),
    ]
    there, back = marks_of(documents)
    assert there.slot is Slot.GREEN
    assert (back.at, back.label, back.slot) == (103.0, "switched back by itself", Slot.BLUE)
    assert failed_phase(documents) == "watch"


def test_an_operation_that_moves_no_traffic_is_marked_without_a_slot() -> None:
    refused = [phase("gate", "intent", 101.0), phase("gate", "failed", 102.0), ended("failed")]
    assert [(mark.label, mark.slot) for mark in marks_of(refused)] == [
        ("deploy v2: refused in gate", None)
    ]
    (given_up,) = marks_of([ended("superseded")])
    assert (given_up.at, given_up.label) == (100.0, "deploy v2: superseded")
    assert failed_phase([ended("superseded")]) is None


def test_an_outcome_is_told_with_its_phases_and_the_end_of_the_evidence() -> None:
    phases = [
        {"phase": "build", "state": "done", "seconds": 2.0},
        {"phase": "gate", "state": "undone", "seconds": 1.5},
        {"phase": "watch", "state": "intent", "seconds": None},
    ]
    error = {"message": "not healthy", "detail": list("abcd"), "remedy": "x" * 200}
    lines = list(outcome_lines(ended("rolled_back", phases=phases, error=error)))
    assert lines[:6] == [
        "build 2.0 s · gate 1.5 s (undone) · watch (intent)",
        "monitor: deploy v2 rolled back after 3.5 s",
        "bluegreen: not healthy",
        "  … 2 lines, then:",
        "  c",
        "  d",
    ]
    assert lines[6].startswith("Next: xxx")
    assert lines[6].endswith("x…")


def test_a_refusal_is_told_where_no_operation_began() -> None:
    refusal = {"error": "busy", "message": "taken", "detail": [], "remedy": "wait"}
    assert list(outcome_lines(refusal)) == ["bluegreen: taken", "Next: wait"]
    assert list(refusal_lines({})) == []
