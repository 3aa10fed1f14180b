"""What is told of an event: bounded, and nothing that is not in the history anyway."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from bluegreen.api.views import operation_view
from bluegreen.model import Event, Operation, OperationError, OperationState

LONGEST_TEXT = 1000  # characters of one text
MOST_LINES = 20  # of the detail of an error
_OCCASIONS = {OperationState.RUNNING: "started"}
_SAYS = {
    "queued": "waits",
    "started": "has begun",
    "waiting": "waits to be promoted",
    "succeeded": "succeeded",
    "failed": "FAILED",
    "rolled_back": "was ROLLED BACK",
    "cancelled": "was cancelled",
    "superseded": "was superseded",
    "interrupted": "was INTERRUPTED",
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """Something that happened to an app. ``at`` is Unix seconds."""

    event: int
    occasion: str  # "failed", "started", "warning", …
    app: str
    at: float
    operation: Operation | None  # as it stood then
    text: str | None = None  # of a warning, and of what waits for a person
    is_test: bool = False
    is_current: bool = True  # the operation stands like that now

    @property
    def type(self) -> str:
        """``operation.failed``, as receivers of webhooks tell them apart."""
        if self.is_test:
            return "test"
        return "warning" if self.occasion == "warning" else f"operation.{self.occasion}"

    def document(self) -> dict[str, Any]:
        """The body of a webhook, as Standard Webhooks has it."""
        return {
            "type": self.type,
            "timestamp": datetime.fromtimestamp(self.at, UTC).isoformat(),
            "data": {
                "host": socket.gethostname(),
                "app": self.app or None,
                "operation": None if self.operation is None else operation_view(self.operation),
                "message": self.text,
            },
        }

    def body(self) -> bytes:
        return json.dumps(self.document(), ensure_ascii=False, default=str).encode()

    def title(self) -> str:
        """One line for people: ``shop: deploy v2 FAILED``."""
        if self.is_test:
            return "bluegreen: a test"
        if self.operation is None or self.occasion == "warning":
            return f"{self.app}: warning"
        version = f" {self.operation.version}" if self.operation.version else ""
        return f"{self.app}: {self.operation.kind.value}{version} {_SAYS[self.occasion]}"

    def words(self) -> str:
        """The rest for people, as lines."""
        if self.text is not None:
            return self.text
        if self.operation is None:
            return ""
        lines = [
            f"operation {self.operation.id} on {socket.gethostname()}, "
            f"by {self.operation.requested_by.name}"
        ]
        if (error := self.operation.error) is not None:
            lines += [error.message, *error.detail, error.remedy]
        return "\n".join(lines)


def message_of(event: Event, operation: Operation | None) -> Message | None:
    """What is told of ``event``; None: nothing. ``operation`` is the one that it is of."""
    if event.kind == "warning":
        its = None if operation is None else replace(operation, error=_bounded(operation.error))
        return Message(
            event=event.id, occasion="warning", app=event.app, at=event.at, operation=its,
            text=_short(str(event.data.get("message", ""))),
        )  # fmt: skip
    occasion = occasion_of(event)
    if operation is None or occasion is None:
        return None
    if event.kind == "promotion":
        return _waiting(event, operation)
    state = OperationState(event.data["state"])
    then = replace(
        operation, state=state, error=_bounded(operation.error) if state.is_final else None,
        finished_at=operation.finished_at if state.is_final else None,
    )  # fmt: skip
    return Message(
        event=event.id, occasion=occasion, app=event.app, at=event.at, operation=then,
        is_current=operation.state is state,
    )  # fmt: skip


def _waiting(event: Event, operation: Operation) -> Message:
    until = datetime.fromtimestamp(event.data["until"], UTC)
    return Message(
        event=event.id, occasion="waiting", app=event.app, at=event.at,
        operation=replace(
            operation, state=OperationState.RUNNING, error=None, finished_at=None
        ),
        text=f"operation {operation.id} on {socket.gethostname()} waits until "
        f"{until:%Y-%m-%d %H:%M} UTC: bluegreen promote {event.app}; to see it: "
        f"bluegreen preview {event.app}; to end it: bluegreen cancel {event.app}",
        is_current=operation.state is OperationState.RUNNING,
    )  # fmt: skip


def occasion_of(event: Event) -> str | None:
    """What an operation or a warning is an occasion for, as ``on`` of ``[[notify]]`` names it.

    Every operation is queued first; that is told of those only that wait for their turn.
    """
    if event.kind == "warning":
        return "warning"
    if event.kind == "promotion":
        return "waiting" if event.data["state"] == "waiting" else None
    state = OperationState(event.data["state"])
    if state is OperationState.QUEUED and not event.data.get("data", {}).get("automatic"):
        return None
    return _OCCASIONS.get(state, state.value)


def test_message(now: float) -> Message:
    """What ``bluegreen notify test`` sends."""
    return Message(
        event=0, occasion="test", app="", at=now, operation=None, is_test=True,
        text=f"bluegreen on {socket.gethostname()} can reach this receiver.",
    )  # fmt: skip


def _bounded(error: OperationError | None) -> OperationError | None:
    if error is None:
        return None
    return replace(
        error, message=_short(error.message), remedy=_short(error.remedy),
        detail=tuple(_short(line) for line in error.detail[:MOST_LINES]),
    )  # fmt: skip


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
