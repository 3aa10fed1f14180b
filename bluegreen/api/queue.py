"""What waits of an app, and what cannot be finished, as documents."""

from __future__ import annotations

from bluegreen.api.documents.queue import PauseState, QueueState, UnsettledOperation, WaitingRelease
from bluegreen.model import Pause
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime


async def queue_view(desk: Desk, app: AppRuntime, pause: Pause | None) -> QueueState:
    """The releases of triggers that wait, each with its reason, in the order of their turns."""
    waiting: list[WaitingRelease] = [
        {
            "id": one.id,
            "version": one.version,
            "since": one.created_at,
            "requested_by": one.requested_by.name,
            "why": await desk.waiting.why(app, one),
        }
        for one in desk.waiting.of(app.name)
    ]
    return {
        "policy": app.settings.queue.policy,
        "webhooks": len(app.settings.webhook),
        "waiting": waiting,
        "paused": None if pause is None else _pause_view(pause),
    }


def _pause_view(pause: Pause) -> PauseState:
    return {
        "app": pause.app, "operation": pause.operation, "kind": pause.kind, "by": pause.by,
        "at": pause.at,
    }  # fmt: skip


def unsettled_view(desk: Desk, app: AppRuntime) -> list[UnsettledOperation]:
    """Operations that could not be finished or undone yet, and when that is tried again."""
    return [
        {
            "id": one.operation.id,
            "kind": one.operation.kind,
            "version": one.operation.version,
            "why": one.why,
            "remedy": one.mend,
            "tries": one.tries,
            "next_try": one.next_try,
        }
        for one in desk.unsettled.of(app.name)
    ]
