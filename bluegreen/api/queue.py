"""What waits of an app, and what cannot be finished, as documents."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

from bluegreen.model import Pause
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime


async def queue_view(desk: Desk, app: AppRuntime, pause: Pause | None) -> dict[str, Any]:
    """The releases of triggers that wait, each with its reason, in the order of their turns."""
    waiting = [
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
        "waiting": waiting,
        "paused": None if pause is None else asdict(pause),
    }


def unsettled_view(desk: Desk, app: AppRuntime) -> list[dict[str, Any]]:
    """Operations that could not be finished or undone yet, and when that is tried again."""
    left = [one for one in desk.unsettled.values() if one.operation.app == app.name]
    return [
        {
            "id": one.operation.id,
            "kind": one.operation.kind,
            "version": one.operation.version,
            "why": one.why,
            "remedy": one.mend,
            "tries": one.tries,
            "next_try": max(one.next_try, time.time()),
        }
        for one in left
    ]
