"""Records as JSON documents."""

from __future__ import annotations

from collections.abc import Sequence

from bluegreen.api.documents import operations
from bluegreen.api.documents.apps import LockState
from bluegreen.api.documents.data import Backup
from bluegreen.api.documents.traffic import HoldState, SwitchBack
from bluegreen.data.catalog import Entry
from bluegreen.model import AppLock, Event, Hold, Operation, PhaseRecord, PhaseState
from bluegreen.operations.run import Promotion
from bluegreen.operations.way_back import WayBack


def operation_view(operation: Operation) -> operations.Operation:
    """Field by field: an answer to a switch waits for it, and asdict takes its time."""
    error = operation.error
    return {
        "id": operation.id,
        "app": operation.app,
        "kind": operation.kind,
        "lane": operation.lane,
        "state": operation.state,
        "version": operation.version,
        "commit": operation.commit,
        "slot": operation.slot,
        "from_slot": operation.from_slot,
        "requested_by": f"{operation.requested_by.name} via {operation.requested_by.via}",
        "created_at": operation.created_at,
        "finished_at": operation.finished_at,
        "error": None if error is None else {
            "kind": error.kind, "message": error.message, "remedy": error.remedy,
            "detail": list(error.detail),
        },
        "acknowledged": list(operation.acknowledged),
        "manual": operation.manual,
        "forced": operation.forced,
        "backup": operation.backup,
        "of_switch": operation.of_switch,
        "automatic": operation.automatic,
        "attempt": operation.attempt,
        "repeats": operation.repeats,
        "begun_at": operation.begun_at,
    }  # fmt: skip


def promotion_view(standing: Promotion) -> operations.Promotion:
    return {
        "phase": standing.phase, "since": standing.since, "until": standing.until,
        "slot": standing.slot, "share": standing.share, "steps": list(standing.steps),
    }  # fmt: skip


def hold_view(hold: Hold) -> HoldState:
    """Since when requests wait and until when at the latest, in Unix seconds, and why."""
    return {
        "since": hold.since, "until": hold.until, "by": hold.by, "operation": hold.operation,
    }  # fmt: skip


def phase_views(records: Sequence[PhaseRecord]) -> list[operations.Phase]:
    """One document a phase: when it began, how it stands, how long it took in seconds."""
    views: dict[str, operations.Phase] = {}
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


def entry_view(entry: Entry) -> Backup:
    """A backup; of one whose manifest cannot be used, only its number and the problem."""
    manifest = entry.manifest
    view: Backup = {"id": entry.id, "good": entry.is_good, "problem": entry.problem}
    if manifest is None:
        return view
    return {
        **view,
        "created_at": manifest.created_at,
        "reason": manifest.reason,
        "version": manifest.version,
        "bytes": manifest.bytes,
        "sqlite": {path: dict(rows) for path, rows in manifest.sqlite.items()},
        "files": {
            path: {"files": found["files"], "bytes": found["bytes"]}
            for path, found in manifest.files.items()
        },
        "postgres": {url: dict(rows) for url, rows in manifest.postgres_rows.items()},
        "command": manifest.command,
        "damaged": list(manifest.damaged),
    }


def event_view(event: Event) -> operations.Event:
    return {
        "id": event.id, "operation": event.operation, "app": event.app, "at": event.at,
        "kind": event.kind, "data": event.data,
    }  # fmt: skip


def switch_back_view(back: WayBack) -> SwitchBack:
    return {
        "how": back.how, "says": back.says, "migrations": list(back.migrations),
        "backup": back.backup, "since": back.since,
    }  # fmt: skip


def lock_view(lock: AppLock) -> LockState:
    return {"app": lock.app, "reason": lock.reason, "by": lock.by, "at": lock.at}
