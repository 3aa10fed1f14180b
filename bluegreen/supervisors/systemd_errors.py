"""What an operator is told when a unit does not do what it should."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from bluegreen.errors import SupervisorError
from bluegreen.supervisors.exec_failures import explain
from bluegreen.supervisors.systemd_unit import WatchedUnit, exit_status

# What systemd says became of a start (org.freedesktop.systemd1(5), JobRemoved).
_RESULTS = {
    "timeout": "it was not up within its start timeout",
    "dependency": "a unit that it needs did not start",
    "canceled": "somebody stopped it meanwhile",
    "skipped": "it is not to be started in its present state",
    "assert": "an assertion of its unit file is not met",
    "lost": "the bus went away in the middle",
}


def unfit_unit(name: str, properties: Mapping[str, Any]) -> SupervisorError:
    """The unit file is missing, masked or wrong."""
    state = properties["LoadState"]
    if state == "not-found":
        why = f"{name} is not started: there is no such unit"
        remedy = "unit files are written by `bluegreen apply`, as root"
    elif state == "masked":
        why = f"{name} is not started: an administrator has masked it"
        remedy = f"`systemctl unmask {name}`"
    else:
        why = f"{name} is not started: its unit file cannot be used ({state})"
        remedy = f"`systemctl status {name}` says why; `bluegreen apply` as root writes it anew"
    said = [str(text) for text in properties.get("LoadError", ()) if text]
    return SupervisorError(why, remedy=remedy, detail=said[-1:])


def not_started(
    watched: WatchedUnit, result: str, properties: Mapping[str, Any], log: Sequence[str]
) -> SupervisorError:
    """A start that did not lead to a running service."""
    name = watched.name
    if result == "done":  # and yet it does not run
        why = f"a condition of its unit is not met ({' or '.join(_unmet(properties))})"
    elif properties.get("Result") == "timeout":
        why = _not_up(properties)
    else:
        why = watched.status.last_exit or _RESULTS.get(result, result)
    said = [f"log | {line}" for line in log]
    remedy = f"`systemctl status {name}` shows what systemd knows of it"
    if (more := explain(properties, exit_status(properties))) is not None:
        why, said, remedy = why + more.more, [*more.detail, *said], more.remedy
    return SupervisorError(f"{name} did not start: {why}", detail=said, remedy=remedy)


def _not_up(properties: Mapping[str, Any]) -> str:
    why = f"{_RESULTS['timeout']} of {properties['TimeoutStartUSec'] / 1e6:g} s"
    if str(properties.get("Type", "")).startswith("notify"):
        why += ", in which it did not say that it was ready (READY=1, sd_notify(3))"
    return why


def _unmet(properties: Mapping[str, Any]) -> list[str]:
    # Of a unit that systemd has unloaded since, it does not know which it was.
    return [
        f"{kind}={'!' if negated else ''}{parameter}"
        for kind, is_trigger, negated, parameter, state in properties.get("Conditions", ())
        if state <= 0 and not is_trigger
    ]


def outlives(name: str, pids: Collection[int]) -> SupervisorError:
    """Processes that are there after a stop."""
    return SupervisorError(
        f"processes {', '.join(map(str, sorted(pids)))} of {name} outlive its stop",
        remedy="they are stuck in the kernel, or the unit's KillMode= spares them: look at "
        f"/proc/PID/status and `systemctl cat {name}`, end what holds them, then try again",
    )


def not_adopted(name: str, waited: float) -> SupervisorError:
    """What is no longer wanted and takes its time to stop."""
    return SupervisorError(
        f"{name} has not stopped within {waited:g} s; systemd goes on stopping it",
        remedy=f"`systemctl status {name}`",
    )


def unmarked(error: OSError) -> SupervisorError:
    """The mark that a slot is to run, or not, could not be changed."""
    return SupervisorError(
        f"which slot is to run could not be written: {error.filename}: {error.strerror}",
        remedy="a directory that is missing is made by `bluegreen apply` as root; "
        "otherwise look at the disk: df -h",
    )
