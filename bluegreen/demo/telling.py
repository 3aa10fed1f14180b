"""What came of a command, in the few lines that the demo has for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bluegreen.model import PhaseState
from bluegreen.words import seconds

EVIDENCE_LINES = 2
WIDEST = 140  # characters of a line


def outcome_lines(result: dict[str, Any]) -> Iterator[str]:
    """Of an operation as it ended: its phases with their times, its outcome, and why."""
    if "state" not in result:
        yield from refusal_lines(result)
        return
    if phases := " · ".join(map(_phase, result.get("phases", []))):
        yield phases
    took = seconds(result["finished_at"] - result["created_at"])
    what = " ".join(filter(None, (result["kind"], result["version"])))
    yield f"{result['app']}: {what} {result['state'].replace('_', ' ')} after {took}"
    if result["error"]:
        yield from refusal_lines(result["error"])


def _phase(phase: dict[str, Any]) -> str:
    took = "" if phase["seconds"] is None else f" {seconds(phase['seconds'])}"
    state = "" if phase["state"] == PhaseState.DONE else f" ({phase['state']})"
    return f"{phase['phase']}{took}{state}"


def refusal_lines(error: dict[str, Any]) -> Iterator[str]:
    """An error as the API answers it: what, the last of the evidence, what to do next."""
    if "message" not in error:
        return
    yield _shortened(f"bluegreen: {error['message']}")
    detail = error["detail"]
    if len(detail) > EVIDENCE_LINES:
        yield f"  … {len(detail) - EVIDENCE_LINES} lines, then:"
    for line in detail[-EVIDENCE_LINES:]:
        yield _shortened(f"  {line}")
    yield _shortened(f"Next: {error['remedy']}")


def _shortened(line: str) -> str:
    return line if len(line) <= WIDEST else line[: WIDEST - 1] + "…"
