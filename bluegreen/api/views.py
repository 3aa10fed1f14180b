"""Records as JSON documents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bluegreen.data.catalog import Entry
from bluegreen.model import Event, Hold, Operation, PhaseRecord, PhaseState


def operation_view(operation: Operation, phases: Sequence[PhaseRecord] = ()) -> dict[str, Any]:
    """An operation, with its phases where they are given."""
    view = dict(vars(operation))  # an answer to a switch waits for it, and asdict takes its time
    view["requested_by"] = f"{operation.requested_by.name} via {operation.requested_by.via}"
    if operation.error is not None:
        view["error"] = {**asdict(operation.error), "detail": list(operation.error.detail)}
    if phases:
        view["phases"] = phase_views(phases)
    return view


def hold_view(hold: Hold) -> dict[str, Any]:
    """Since when requests wait and until when at the latest, in Unix seconds, and why."""
    return {
        "since": hold.since, "until": hold.until, "by": hold.by, "operation": hold.operation,
    }  # fmt: skip


def phase_views(records: Sequence[PhaseRecord]) -> list[dict[str, Any]]:
    """One document a phase: when it began, how it stands, how long it took in seconds."""
    views: dict[str, dict[str, Any]] = {}
    for record in records:
        if record.state is PhaseState.INTENT:
            views[record.phase] = {
                "phase": record.phase, "began": record.at, "state": record.state,
                "seconds": None, "data": record.data,
            }  # fmt: skip
            continue
        view = views[record.phase]
        view["state"] = record.state
        if record.state in (PhaseState.DONE, PhaseState.FAILED) and view["seconds"] is None:
            view["seconds"] = max(0.0, record.at - view["began"])
        view["data"] = {**view["data"], **record.data}
    return list(views.values())


def entry_view(entry: Entry) -> dict[str, Any]:
    """A backup; of one whose manifest cannot be used, only its number and the problem."""
    manifest = entry.manifest
    view: dict[str, Any] = {"id": entry.id, "good": entry.is_good, "problem": entry.problem}
    if manifest is None:
        return view
    return view | {
        "created_at": manifest.created_at,
        "reason": manifest.reason,
        "version": manifest.version,
        "bytes": manifest.bytes,
        "sqlite": manifest.sqlite,
        "files": manifest.files,
        "postgres": manifest.postgres_rows,
        "command": manifest.command,
        "damaged": manifest.damaged,
    }


def event_view(event: Event) -> dict[str, Any]:
    return asdict(event)
