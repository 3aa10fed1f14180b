"""The documents of a release that had visitors and was switched back, as the API answers them."""

from __future__ import annotations

from typing import Any

from bluegreen.report.story import Documents

BEGAN = 1_795_956_900.0
SWITCHED, BACK, ENDED = BEGAN + 4.0, BEGAN + 7.5, BEGAN + 8.0
_PHASES = (
    # name, from, to, and from when until when it was undone
    ("preflight", 0.0, 0.1, None),
    ("build", 0.1, 2.0, None),
    ("start", 2.0, 2.1, (7.7, 8.0)),
    ("gate", 2.1, 4.0, (7.6, 7.7)),
    ("switch", 4.0, 4.0, (7.4, 7.5)),
    ("watch", 4.0, 7.4, None),
)
_FAILED = "watch"
ERROR = {
    "kind": "gate", "message": "shop v2 in green: 6 % of 700 requests failed (limit 1 %)",
    "remedy": "mend the release and deploy it again", "detail": ["api | <script>alert(1)</script>"],
}  # fmt: skip


def _event(at: float, kind: str, **data: Any) -> dict[str, Any]:
    return {
        "id": 0, "operation": 7, "app": "shop", "at": BEGAN + at, "kind": kind, "data": data
    }  # fmt: skip


def _of_phases() -> list[dict[str, Any]]:
    found = []
    for name, start, end, undone in _PHASES:
        ended = "failed" if name == _FAILED else "done"
        found.append(_event(start, "phase", phase=name, state="intent", data={}))
        found.append(_event(end, "phase", phase=name, state=ended, data={}))
        if undone is not None:
            found.append(_event(undone[0], "phase", phase=name, state="undoing", data={}))
            found.append(_event(undone[1], "phase", phase=name, state="undone", data={}))
    return found


def watched(second: int) -> dict[str, Any]:
    """200 requests a second, of which green fails twelve."""
    slot, failed = ("green", 12) if 4 <= second < 8 else ("blue", 0)
    counts = {
        "requests": 200, "failed": failed, "1xx": 0, "2xx": 200 - failed, "3xx": 0, "4xx": 0,
        "5xx": failed, "gone": 0, "unreachable": 0, "p50": 0.012, "p99": 0.04 + failed / 100,
    }  # fmt: skip
    return _event(second + 1, "watch", seconds=1.0, serves=slot, slots={slot: counts}, judged=None)


def led(*shares: tuple[float, int]) -> list[dict[str, Any]]:
    """Steps of the release: when, and how many percent of the visitors it had from then on."""
    return [
        _event(at, "share", slot="green", percent=percent, until=None) for at, percent in shares
    ]


def promoted(at: float, phase: str) -> dict[str, Any]:
    """Somebody let the release go on from that phase."""
    by = {"by": "uid 1000 (alice)"}
    return _event(at, "phase", phase=phase, state="done", data=by)


def documents() -> Documents:
    states = {name: "undone" if undone else "done" for name, _, _, undone in _PHASES}
    operation = {
        "id": 7, "app": "shop", "kind": "deploy", "state": "rolled_back", "version": "v2",
        "commit": "a5b70e1f6cf2a7e161fe1f49a0f5c080f42ed84c", "slot": "green", "from_slot": "blue",
        "requested_by": "uid 1000 (alice) via unix socket", "created_at": BEGAN - 3.0,
        "begun_at": BEGAN, "finished_at": ENDED, "error": ERROR, "acknowledged": ["a new table"],
        "forced": False, "backup": None,
        "phases": [
            {
                "phase": name, "began": BEGAN + start, "seconds": end - start, "data": {},
                "state": "failed" if name == _FAILED else states[name],
            }
            for name, start, end, _ in _PHASES
        ],
    }  # fmt: skip
    events = _of_phases() + [watched(second) for second in range(2, 9)]
    events += [
        _event(3.0, "probe", service="api", probe="http /health", passed=True, answer="200 ok"),
        _event(6.0, "probe", service="api", probe="http /health", passed=False, answer="503 <b>"),
        _event(7.0, "warning", message="the disk is nearly full"),
    ]
    output = [{"source": "build-assets", "line": f"line {number}"} for number in range(40)]
    return Documents(
        operation=operation, events=sorted(events, key=lambda event: event["at"]), output=output,
        served="v1", app=None, made_at=ENDED + 60,
    )  # fmt: skip
