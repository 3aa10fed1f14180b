"""What becomes of operations, in the daemon's log: one line as it begins, one as it ends."""

from __future__ import annotations

import logging
from collections.abc import Callable

from bluegreen.model import Event, OperationKind, OperationState

log = logging.getLogger(__name__)

_SAYS = {
    OperationState.RUNNING: "has begun",
    OperationState.SUCCEEDED: "succeeded",
    OperationState.FAILED: "failed",
    OperationState.ROLLED_BACK: "was rolled back",
    OperationState.CANCELLED: "was cancelled",
    OperationState.SUPERSEDED: "was superseded",
    OperationState.INTERRUPTED: "was interrupted",
}
_TROUBLE = (OperationState.FAILED, OperationState.ROLLED_BACK, OperationState.INTERRUPTED)


def logged(publish: Callable[[Event], None]) -> Callable[[Event], None]:
    """``publish``, with the events of operations logged before it."""

    def tell_and_publish(event: Event) -> None:
        _tell(event)
        publish(event)

    return tell_and_publish


def _tell(event: Event) -> None:
    """A switch is a matter of milliseconds: only its end is told."""
    if event.kind != "operation":
        return
    data = event.data
    state = OperationState(data["state"])
    begins = state is OperationState.RUNNING
    if state is OperationState.QUEUED or (begins and data["kind"] == OperationKind.SWITCH):
        return
    version = f" {data['version']}" if data["version"] else ""
    by = f", by {data['requested_by']}" if begins or data["kind"] == OperationKind.SWITCH else ""
    error = data["error"]
    why = f": {error['message']}; {error['remedy']}" if error else ""
    log.log(
        logging.WARNING if state in _TROUBLE else logging.INFO,
        "%s: %s%s %s (operation %s%s)%s",
        event.app, data["kind"], version, _SAYS[state], event.operation, by, why,
        extra={"app": event.app, "operation": event.operation},
    )  # fmt: skip
