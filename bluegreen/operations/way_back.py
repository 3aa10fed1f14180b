"""What a switch back means, now and after a release: in one word, and in one sentence."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from bluegreen.errors import TrafficError
from bluegreen.model import SlotState, Traffic
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import AppRuntime


class How(StrEnum):
    """How traffic gets back to the release that served before."""

    INSTANT = "instant"  # it runs, and has passed its gate
    START = "start"  # it is started and gated first
    IMPOSSIBLE = "impossible"  # there is none, or nothing serves


@dataclass(frozen=True, kw_only=True)
class WayBack:
    """``says`` is for people, and does not begin with a capital."""

    how: How
    says: str


def way_back(
    app: AppRuntime, traffic: Traffic, run: Run | None, silence: TrafficError | None
) -> WayBack:
    """What ``switch back`` would do now.

    ``run`` is the operation in progress, ``silence`` why nginx cannot be told to move traffic.
    """
    active = traffic.active
    if active is None:
        return WayBack(how=How.IMPOSSIBLE, says="nothing has been deployed")
    if traffic.closed:
        return _closed(app)
    if silence is not None:
        return WayBack(how=How.IMPOSSIBLE, says=f"{silence.message}; {silence.remedy}")
    record = app.slots[active.other]
    if app.is_ready(record.slot):
        return _instant(record.label, record.slot)
    if run is not None and run.previous is not None and run.target is record.slot:
        record = run.previous
    if record.state is SlotState.EMPTY or record.version is None:
        return WayBack(how=How.IMPOSSIBLE, says=f"{active.other} holds no release")
    return _start(record.label, record.slot)


def way_back_after(app: AppRuntime, traffic: Traffic) -> WayBack:
    """What it would do once a release that is deployed now serves and has passed its watch."""
    active = traffic.active
    if active is None:
        return WayBack(how=How.IMPOSSIBLE, says="no release has served before this one")
    if traffic.closed:
        return _closed(app)
    record = app.slots[active]
    if app.settings.keep.hot == 0 or not app.is_running(active):
        return _start(record.label, active)
    return _instant(record.label, active)


def _closed(app: AppRuntime) -> WayBack:
    return WayBack(how=How.IMPOSSIBLE, says=f"out of service; bluegreen start {app.name}")


def _instant(label: str, slot: str) -> WayBack:
    return WayBack(how=How.INSTANT, says=f"instant, to {label} in {slot}")


def _start(label: str, slot: str) -> WayBack:
    return WayBack(how=How.START, says=f"{label} in {slot} is started and gated first")
