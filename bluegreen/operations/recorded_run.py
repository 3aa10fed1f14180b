"""An operation that a daemon has left, as a run again: what its records tell of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bluegreen.model import Operation, PhaseName, PhaseRecord, PhaseState, Release
from bluegreen.operations.migrating import from_data
from bluegreen.operations.phases.hold import drained_from
from bluegreen.operations.run import Migrating, Run, Stepping, subject
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.slot_records import record_from_data
from bluegreen.operations.unwritten import let_in
from bluegreen.watching.judging import Before


def run_from_records(app: AppRuntime, operation: Operation, records: Sequence[PhaseRecord]) -> Run:
    """The run as the records tell it."""
    states = {record.phase: record.state for record in records}
    run = Run(
        app=app,
        operation=operation,
        target=operation.slot or subject(app, operation.kind, operation.from_slot),
        origin=operation.from_slot,
        recorded=states,
        given_up=any(record.data.get("given_up") for record in records),
        pinned_commit=operation.commit if operation.of_switch else None,
        switched=any(r.phase is PhaseName.SWITCH and r.state is PhaseState.DONE for r in records)
        or any(r.phase is PhaseName.STEPS for r in records)
        or let_in(app.layout, operation.id, states),
    )
    intents = {r.phase: r.data for r in records if r.state is PhaseState.INTENT}
    done = {r.phase: r.data for r in records if r.state is PhaseState.DONE}
    if start := intents.get(PhaseName.START):
        run.previous = record_from_data(start["previous"])
        run.tree = Path(start["tree"]) if start["tree"] is not None else None
    elif (build := intents.get(PhaseName.BUILD)) and build["tree"] != str(None):
        run.tree = Path(build["tree"])
    run.migrating = _migrating_from(intents, done)
    if drain := intents.get(PhaseName.DRAIN):
        run.drained = drained_from(drain)
    if close := intents.get(PhaseName.CLOSE):
        run.was_closed = bool(close.get("was_closed"))
    if promote := intents.get(PhaseName.PROMOTE):
        run.promote_until = float(promote["until"])
    if watch := intents.get(PhaseName.WATCH):
        run.watch_deadline = float(watch["until"])
    run.stepping = _stepping_from(intents.get(PhaseName.STEPS))
    for phase in (PhaseName.STEPS, PhaseName.WATCH):
        if before := intents.get(phase, {}).get("before"):
            run.before = Before(**before)
    if operation.version is not None and run.tree is not None:
        run.release = Release(
            app=app.name, version=operation.version, commit=operation.commit, origin=""
        )
    return run


def _stepping_from(intent: dict[str, Any] | None) -> Stepping | None:
    if intent is None:
        return None
    return Stepping(percents=tuple(intent["steps"]), pause=intent["pause"], sticky=intent["sticky"])


def _migrating_from(
    intents: Mapping[PhaseName, dict[str, Any]], done: Mapping[PhaseName, dict[str, Any]]
) -> Migrating:
    migrate = intents.get(PhaseName.MIGRATE)
    known = Migrating() if migrate is None else from_data(migrate)
    if rehearse := intents.get(PhaseName.REHEARSE):
        rehearsed = done.get(PhaseName.REHEARSE, {})
        known.rehearsal_over = PhaseName.REHEARSE in done or not rehearse["rehearses"]
        known.rehearsed_seconds = rehearsed.get("seconds")
        if migrate is None and rehearsed.get("pending") is not None:
            known.pending = tuple(rehearsed["pending"])
    if reverse := done.get(PhaseName.REVERSE):
        known.rolled_back = tuple(reverse.get("rolled_back", ()))
    if (backup := done.get(PhaseName.BACKUP)) and known.backup is None:
        known.backup = backup.get("backup")
    return known
