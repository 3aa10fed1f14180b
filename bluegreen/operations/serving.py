"""The slot that has the traffic is to run, and well: one that came up badly is tried again."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from bluegreen.errors import BluegreenError
from bluegreen.model import Slot, SlotState, UnitKey, UnitState
from bluegreen.operations.proof import gate_again, start_again
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.unwritten import unwritten_since
from bluegreen.processes import tell_if_failed

log = logging.getLogger(__name__)

FIRST_WAIT = 2.0  # seconds from an attempt to the next, twice as long each time
LONGEST_WAIT = 60.0


@dataclass
class _Attempts:
    """``not_before`` is by the event loop's clock."""

    not_before: float = 0.0
    wait: float = FIRST_WAIT
    said: str | None = None


class Serving:
    """At most one attempt an app at a time, as its `AppRuntime.warming`."""

    def __init__(self) -> None:
        self._attempts: dict[str, _Attempts] = {}

    def look(self, app: AppRuntime) -> None:
        """Begin to start what serves, where that has never come up; of an app nobody works on.

        What runs since a start whose gate it missed is gated alone. What has passed its gate and
        ended since is kept by its supervisor, or was stopped by an administrator, and stays so.
        """
        slot = _unproved(app)
        if slot is None:
            self._attempts.pop(app.name, None)
            return
        attempts = self._attempts.setdefault(app.name, _Attempts())
        now = asyncio.get_running_loop().time()
        if app.warming is not None or now < attempts.not_before:
            return
        app.warming = asyncio.create_task(
            self._start(app, slot, attempts), name=f"start {app.name} {slot}, which serves"
        )
        app.warming.add_done_callback(tell_if_failed)

    async def _start(self, app: AppRuntime, slot: Slot, attempts: _Attempts) -> None:
        try:
            logs = app.layout.operation_logs(app.slots[slot].operation or 0)
            if _never_started(app, slot):
                await start_again(app, app.slots[slot], logs, lambda _: None)
                message = f"{slot} serves, did not run, and was started"
            else:
                await gate_again(app, slot, logs, lambda _: None)
                message = f"{slot} serves, had missed its gate, and has passed it"
        except BluegreenError as error:
            message = f"{slot} serves and does not come up: {error.message}; {error.remedy}"
        finally:
            attempts.not_before = asyncio.get_running_loop().time() + attempts.wait
            attempts.wait = min(2 * attempts.wait, LONGEST_WAIT)
            if app.warming is asyncio.current_task():
                app.warming = None
        if message != attempts.said:
            attempts.said = message
            log.warning("%s: %s", app.name, message, extra={"app": app.name})
            await app.parts.note(app.name, None, "warning", message=message)


def _unproved(app: AppRuntime) -> Slot | None:
    """The slot that has the traffic, if it has not come up since it was last to, and may."""
    traffic = app.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed or unwritten_since(app.layout) is not None:
        return None  # or its data were not put back, and it could not be closed
    record = app.slots[traffic.active]
    if record.state is SlotState.HOT or record.version is None:
        return None
    may = _never_started(app, record.slot) or not _stopped(app, record.slot)
    return record.slot if may else None


def _never_started(app: AppRuntime, slot: Slot) -> bool:
    """Whether services of it do not run that nobody has started, and so nobody has stopped."""
    known = app.parts.supervisor.units()  # what an administrator has stopped is among them
    return any(key not in known for key in _stopped(app, slot))


def _stopped(app: AppRuntime, slot: Slot) -> list[UnitKey]:
    supervisor = app.parts.supervisor
    keys = app.unit_keys(slot, app.gated_services(slot))
    return [key for key in keys if supervisor.status(key).state is UnitState.STOPPED]
