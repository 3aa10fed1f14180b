"""The picture of an app on terminals of several widths: slots, phases, requests and errors."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from bluegreen.cli.picture import Phases, Slots
from bluegreen.cli.progress import Progress
from bluegreen.cli.sparks import BLOCKS, Traffic, blocks_of

SERVICE = {"state": "running", "restarts": 0, "last_exit": None, "exclusive": False}
LIMITS = {"error_rate": 0.01, "p99": 0.5}


def slot(version: str, state: str = "hot") -> dict[str, Any]:
    return {
        "state": state, "version": version, "commit": "236729408bdc8a58a9562c012e5b16280f1e42ce",
        "operation": 1, "hot_until": None, "ready": True, "services": {"api": SERVICE},
        "health": None,
    }  # fmt: skip


APP = {
    "app": "shop", "active": "green", "held": None,
    "slots": {"blue": slot("v1"), "green": slot("v2")},
}  # fmt: skip


def watched(second: int) -> dict[str, Any]:
    """Green takes over from blue in the fifth second, and fails some."""
    name, failed = ("green", 20) if second >= 5 else ("blue", 0)
    counts = {"requests": 200, "failed": failed}
    judged = None
    if name == "green":
        judged = {
            "slot": "green", "left": 12.3, "requests": 1890, "failed": 4, "error_rate": 0.0021,
            "p99": 0.045, "limits": LIMITS, "before": None,
        }  # fmt: skip
    data = {"seconds": 1.0, "serves": name, "slots": {name: counts}, "judged": judged}
    return {"kind": "watch", "at": 100.0 + second, "data": data}


def phase(at: float, name: str, state: str) -> dict[str, Any]:
    return {"kind": "phase", "at": at, "data": {"phase": name, "state": state, "data": {}}}


def drawn(what: Any, columns: int) -> list[str]:
    console = Console(file=io.StringIO(), width=columns, color_system=None)
    with console.capture() as shown:
        console.print(what)
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert max(map(len, lines)) <= columns
    return lines


@pytest.fixture
def traffic() -> Traffic:
    traffic = Traffic()
    for second in range(10):
        traffic.take(watched(second))
    return traffic


@pytest.mark.parametrize(("columns", "seconds"), [(80, 9), (120, 29), (200, 30)])
def test_both_slots_have_their_requests_and_errors_beside_them(
    traffic: Traffic, columns: int, seconds: int
) -> None:
    text = "\n".join(drawn(Slots(APP, traffic), columns))
    shown = " " * max(0, seconds - 10) + "█" * min(5, seconds - 5) + "▁" * 5
    for words in ("requests/s", "errors/s", "* green  v2", "blue   v1", shown, "  200", "   20"):
        assert words in text, text
    assert "green: 1,890 requests, 0.21 % failed (limit 1 %), p99 45 ms (limit 500 ms)" in text


def test_where_there_is_no_room_or_nothing_is_known_there_are_no_blocks(traffic: Traffic) -> None:
    for what, columns in ((Slots(APP, traffic), 40), (Slots(APP, None), 120)):
        text = "\n".join(drawn(what, columns))
        assert not set(BLOCKS) & set(text)
        assert "* green  v2" in text


def test_whatever_is_more_than_nothing_is_seen() -> None:
    assert blocks_of([0, 1, 100, 200], 200) == "▁▂▅█"
    assert blocks_of([0, 0], 0) == "▁▁"


def test_phases_have_their_times_and_what_failed_stays_failed() -> None:
    phases = Phases()
    for event in (
        phase(100, "build", "intent"), phase(101.5, "build", "done"),
        phase(102, "gate", "intent"), phase(104, "gate", "failed"), phase(105, "gate", "undoing"),
        phase(105, "build", "undoing"), phase(106, "build", "undone"),
    ):  # fmt: skip
        phases.take(event)
    assert drawn(phases.line(), 80) == ["    ↺ build 1.5 s   ✗ gate 2.0 s"]
    assert [line.split() for line in drawn(phases.table(), 80)] == [
        ["↺", "build", "1.5", "s"], ["✗", "gate", "2.0", "s"]
    ]  # fmt: skip


def test_a_deploy_shows_the_same_picture() -> None:
    progress = Progress(
        {"kind": "deploy", "version": "v2", "app": "shop", "slot": "green", "id": 7}
    )
    for event in (phase(100, "build", "intent"), phase(101, "build", "done"), watched(7)):
        progress.take(event)
    assert "requests/s" not in "\n".join(drawn(progress, 100)), "no slot was looked at yet"
    progress.app = APP
    text = "\n".join(drawn(progress, 100))
    for words in ("deploy v2 of shop into green (operation 7)", "build", "requests/s", "* green"):
        assert words in text
