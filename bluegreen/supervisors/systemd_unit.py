"""One unit as systemd tells of it, in bluegreen's words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bluegreen.model import UnitKey, UnitState, UnitStatus
from bluegreen.processes import Ending
from bluegreen.supervisors.exec_failures import in_words
from bluegreen.supervisors.unit_names import service_unit

_RUNNING = ("active", "reloading", "refreshing")
AT_REST = ("inactive", "failed")  # the active states in which nothing of a unit runs
_KEPT = (
    "ActiveState", "SubState", "MainPID", "NRestarts", "Result", "ExecMainCode", "ExecMainStatus",
    "InvocationID", "StateChangeTimestamp",
)  # fmt: skip
_EXITED = 1  # CLD_EXITED; CLD_KILLED and CLD_DUMPED are the others (waitid(2))

_RESULTS = {
    "oom-kill": "out of memory (OOM kill)",
    "watchdog": "its watchdog was not fed",
    "timeout": "not done within its timeout",
    "resources": "systemd lacked resources to run it",
    "protocol": "it ended before it was up, by its Type=",
}
START_LIMIT = "start limit hit: systemd no longer restarts it"


def ending(properties: Mapping[str, Any], *, executed: bool = False) -> str | None:
    """How the main process ended; None while it has not.

    ``exit status 3``, ``killed by SIGKILL``, ``out of memory (OOM kill)``,
    ``start limit hit: systemd no longer restarts it (exit status 3)``. If it is not known to have
    been ``executed``, a status that systemd uses is systemd's: ``its user does not exist
    (217/USER)``.
    """
    code, status = properties.get("ExecMainCode", 0), properties.get("ExecMainStatus", 0)
    words = None
    if code == _EXITED:
        unexecuted = None if executed else in_words(status)
        words = unexecuted or str(Ending(exit_status=status))
    elif code:
        words = str(Ending(signal=status))
    result = properties.get("Result", "success")
    if result == "oom-kill":
        return _RESULTS[result]
    if result == "start-limit-hit":
        return _start_limit(words)
    if result in _RESULTS:
        return f"{_RESULTS[result]} ({words})" if words else _RESULTS[result]
    return words


def _start_limit(words: str | None) -> str:
    return f"{START_LIMIT} ({words})" if words else START_LIMIT


def exit_status(properties: Mapping[str, Any]) -> int | None:
    """The exit status of the main process; None if it did not end by one."""
    if properties.get("ExecMainCode") != _EXITED:
        return None
    return int(properties["ExecMainStatus"])


def is_older(files: Iterable[Path | str], than: float) -> bool:
    """Whether all ``files`` were last written before ``than``, in Unix seconds. Blocks on the disk.

    One that is gone says nothing of what is in force.
    """
    for file in files:
        with contextlib.suppress(FileNotFoundError):
            if os.stat(file).st_mtime > than:
                return False
    return True


def is_waiting(properties: Mapping[str, Any]) -> bool:
    """Whether it has ended and is restarted after a delay; a plain start would wait as well."""
    return "auto-restart" in properties.get("SubState", "")


class WatchedUnit:
    """What is known of one service, from systemd's signals."""

    def __init__(self, key: UnitKey) -> None:
        self.key = key
        self.name = service_unit(key)
        self.wanted = False  # started or adopted, and not stopped since
        self.changing = False  # a request of ours is under way
        self._properties: dict[str, Any] = {}
        self._before_rest = ""  # the substate in which it last did something
        self._last_exit: str | None = None
        self._has_begun = True
        self._has_run = False  # its command was executed, in the present invocation
        self._told: tuple[object, ...] = ()
        # Restarts since the request = _base + NRestarts, which systemd sets back now and then.
        self._base = 0
        self._invocation = b""
        self._restarts_then = 0  # NRestarts when that invocation began

    @property
    def is_at_rest(self) -> bool:
        return self._properties.get("ActiveState", "inactive") in AT_REST

    @property
    def result(self) -> str:
        """systemd's word for how it ended last."""
        return str(self._properties.get("Result", "success"))

    @property
    def has_begun(self) -> bool:
        """Whether it was executed since it was last asked to start."""
        return self._has_begun

    @property
    def status(self) -> UnitStatus:
        since = self._properties.get("StateChangeTimestamp", 0)
        state = self._state()
        return UnitStatus(
            key=self.key,
            state=state,
            pid=self._properties.get("MainPID") or None if state is not UnitState.STOPPED else None,
            restarts=self._restarts,
            last_exit=self._last_exit,
            since=since / 1e6 if since else None,
        )

    def request(self, properties: Mapping[str, Any]) -> None:
        """From now on it is to run, newly started or adopted: restarts count from here."""
        self.wanted = True
        self._take(properties)
        self._base = -self._restarts_now
        self._restarts_then = self._restarts_now

    def begin(self, *, joins: bool) -> None:
        """A start on request is under way; ``joins``: one that was under way already."""
        self.changing = True
        self._last_exit = None
        self._has_begun = joins

    def update(self, changed: Mapping[str, Any]) -> UnitStatus | None:
        """Take over what has changed; the new status, where that is worth telling."""
        self._take(changed)
        status = self.status
        told = (status.state, status.pid, status.last_exit)
        if told == self._told:
            return None
        self._told = told
        return status

    @property
    def _restarts_now(self) -> int:
        return int(self._properties.get("NRestarts", 0))

    @property
    def _restarts(self) -> int:
        return max(0, self._base + self._restarts_now)

    def _take(self, changed: Mapping[str, Any]) -> None:
        self._properties.update({name: changed[name] for name in _KEPT if name in changed})
        if self._properties.get("ActiveState", "inactive") not in AT_REST:
            self._before_rest = str(self._properties.get("SubState", ""))
        self._count_foreign_starts()
        self._has_run |= self._properties.get("SubState") == "running"
        # What is said of it before it has begun is about its life before.
        if self._has_begun and self._properties.get("ActiveState") not in _RUNNING:
            words = ending(self._properties, executed=self._has_run)
            if "auto-restart" in self._before_rest and self.result != "start-limit-hit":
                # The limit that a restart hits does not change what systemd calls the result.
                words = _start_limit(words) if self._is("failed") else words
            if words is not None:
                stopped = self._state() is UnitState.STOPPED and self.wanted and not self.changing
                self._last_exit = f"stopped from outside ({words})" if stopped else words

    def _is(self, active: str) -> bool:
        return bool(self._properties.get("ActiveState") == active)

    def _count_foreign_starts(self) -> None:
        """A start that neither we nor systemd's Restart= asked for is a restart as well."""
        invocation = bytes(self._properties.get("InvocationID", b""))
        if not invocation or invocation == self._invocation:
            return
        known, self._invocation = self._invocation, invocation
        self._has_begun, self._has_run = True, False
        now = self._restarts_now
        if self.changing:
            self._base = -now
        elif known and now <= self._restarts_then:
            self._base += self._restarts_then - now + 1
        self._restarts_then = now

    def _state(self) -> UnitState:
        active = self._properties.get("ActiveState", "inactive")
        if active in _RUNNING:
            return UnitState.RUNNING
        if is_waiting(self._properties):
            return UnitState.BACKOFF
        if active == "deactivating":
            return UnitState.STOPPING
        again = active == "activating" and self._restarts > 0 and not self.changing
        if again or (active == "failed" and self.wanted):
            return UnitState.BACKOFF
        return UnitState.STOPPED
