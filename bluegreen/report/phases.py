"""The phases of an operation in words, each with where it lies in time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.report.shares import led, note
from bluegreen.words import clock, seconds

# For people who do not know bluegreen.
MEANS = {
    "preflight": "What it needs is there",
    "fetch": "The release is fetched and verified",
    "build": "It is built",
    "measure": "What must not change is measured",
    "rehearse": "Its migrations are tried on a copy of the data",
    "hold": "New requests wait",
    "drain": "The running version finishes its requests and stops",
    "check": "Pending migrations are asked for",
    "backup": "The data are backed up",
    "migrate": "The data are migrated",
    "reverse": "Migrations are undone",
    "start": "Its services are started",
    "gate": "It has to answer well before it gets visitors",
    "promote": "A person decides",
    "steps": "It gets shares of the visitors",
    "switch": "Visitors are moved",
    "release": "Requests that wait go on",
    "watch": "It has to stay well with visitors",
    "settle": "What nobody needs any more is removed",
    "open": "Visitors are let in",
    "close": "The app is taken out of service",
    "stop": "Its services are stopped",
    "verify": "A backup is read and compared",
    "stage": "The data of a backup are laid out",
    "restore": "They are put in place",
}
ENDED = {
    "done": "done", "failed": "failed", "undone": "done, later undone", "undoing": "being undone",
    "intent": "not finished",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Bar:
    """Where something lies between the beginning and the end: shares of all of it, 0 to 100."""

    start: float
    width: float
    kind: str  # "done", "failed", "undo"


@dataclass(frozen=True, kw_only=True)
class Step:
    """One phase. ``note`` is what came of it, "" where there is nothing to say."""

    name: str
    means: str
    began: float  # Unix seconds
    took: float | None
    ended: str
    failed: bool
    note: str
    bars: tuple[Bar, ...]


def steps(operation: Mapping[str, Any], events: Sequence[Mapping[str, Any]]) -> list[Step]:
    """In the order in which they began."""
    shares = led(events)
    began = operation["begun_at"] or operation["created_at"]
    whole = max(operation["finished_at"] - began, 0.001)
    records = [event for event in events if event["kind"] == "phase"]

    def bar(start: float, end: float, kind: str) -> Bar:
        share = min(max(100 * (start - began) / whole, 0.0), 100.0)
        width = max(100 * (end - start) / whole, 0.0)
        return Bar(start=share, width=min(width, 100 - share), kind=kind)

    found = []
    for phase in operation["phases"]:
        mine = [one for one in records if one["data"]["phase"] == phase["phase"]]
        failed = any(one["data"]["state"] == "failed" for one in mine)
        took = phase["seconds"]
        end = operation["finished_at"] if took is None else phase["began"] + took
        bars = [bar(phase["began"], end, "failed" if failed else "done")]
        undoing = [one["at"] for one in mine if one["data"]["state"] == "undoing"]
        undone = [one["at"] for one in mine if one["data"]["state"] == "undone"]
        if undoing:
            bars.append(bar(undoing[0], undone[-1] if undone else operation["finished_at"], "undo"))
        ended = ENDED[phase["state"]]
        if failed and phase["state"] in ("undone", "undoing"):
            ended = "failed, and undone"
        said = note(shares) if phase["phase"] == "steps" and shares else _note(phase)
        said = ", ".join(filter(None, (said, _promoted(phase["phase"], mine))))
        found.append(
            Step(
                name=phase["phase"], means=MEANS.get(phase["phase"], ""), began=phase["began"],
                took=took, ended=ended, failed=failed, note=said, bars=tuple(bars),
            )
        )  # fmt: skip
    return found


def _promoted(phase: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Who let the release go on from a phase in which it waits for that, or may."""
    if phase not in ("promote", "steps"):
        return ""
    by = ((one["at"], one["data"]["data"].get("by")) for one in records)
    return next((f"promoted by {who} at {clock(at)}" for at, who in by if who is not None), "")


def _note(phase: Mapping[str, Any]) -> str:
    """What its record says that a reader may want to know."""
    data = phase["data"]
    if "skipped" in data:
        return f"left out: {data['skipped']}"
    noted = _NOTES.get(phase["phase"])
    return noted(data) if noted is not None else ""


def _fetch(data: Mapping[str, Any]) -> str:
    return str(data.get("release", ""))


def _build(data: Mapping[str, Any]) -> str:
    names = ", ".join(data.get("steps", ()))
    size = data.get("bytes")
    return " · ".join(filter(None, (names, None if size is None else size_text(size))))


def _gate(data: Mapping[str, Any]) -> str:
    parts = [_counted(data.get("probes"), "probe"), _counted(data.get("smoke"), "smoke step")]
    if unchanged := data.get("unchanged"):
        parts.append(f"{len(unchanged)} unchanged as they must be")
    if through := data.get("nginx"):
        passed = str(through).endswith("have passed")
        parts.append("through nginx, too" if passed else f"through nginx: {through}")
    return " · ".join(filter(None, parts))


def _backup(data: Mapping[str, Any]) -> str:
    if "backup" not in data:
        return ""
    size = f", {size_text(data['bytes'])}" if "bytes" in data else ""
    return f"backup {data['backup']}{size}"


def _names(data: Mapping[str, Any]) -> str:
    for key in ("applied", "rolled_back", "pending"):
        if data.get(key):
            return f"{key.replace('_', ' ')}: {', '.join(map(str, data[key]))}"
    return ""


def _switch(data: Mapping[str, Any]) -> str:
    return f"{data.get('from') or 'nothing'} → {data.get('to')}"


def _release(data: Mapping[str, Any]) -> str:
    return f"they had waited for {seconds(data['seconds'])}" if "seconds" in data else ""


def _watch(data: Mapping[str, Any]) -> str:
    if "requests" not in data:
        return ""
    parts = [f"{data['requests']:,} requests, {share_text(data['error_rate'])} failed"]
    if data.get("p99") is not None:
        parts.append(f"99th percentile {seconds(data['p99'])}")
    parts.append(data.get("said") or "")
    return " · ".join(filter(None, parts))


_NOTES = {
    "fetch": _fetch, "build": _build, "gate": _gate, "backup": _backup, "rehearse": _names,
    "migrate": _names, "reverse": _names, "check": _names, "switch": _switch,
    "release": _release, "watch": _watch,
}  # fmt: skip


def _counted(count: int | None, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}" if count else ""


def share_text(share: float) -> str:
    """``0.21 %``"""
    return f"{100 * share:.3g} %"


def size_text(size: float) -> str:
    """``14.8 MB``: of bytes."""
    for unit in ("bytes", "kB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
