"""Events as plain lines, for pipes and logs."""

from __future__ import annotations

import time
from typing import Any

from bluegreen.words import seconds


class PlainLines:
    """Turns events into lines; knows when each phase began."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}

    def line(self, event: dict[str, Any]) -> str | None:
        """One line an event, or None for what is said elsewhere."""
        text = event_text(event)
        if text is None:
            return None
        if event["kind"] == "phase":
            phase, state = event["data"]["phase"], event["data"]["state"]
            began = self._began.setdefault(phase, event["at"])
            if state in ("done", "failed"):
                text += f" ({seconds(event['at'] - began)})"
        return f"{time.strftime('%H:%M:%S', time.localtime(event['at']))} {text}"


def event_text(event: dict[str, Any]) -> str | None:
    """An event in words."""
    data, kind = event["data"], event["kind"]
    if kind == "phase":
        return _phase(data)
    if kind == "probe":
        verdict = "passes" if data["passed"] else "fails"
        return f"  {data['service']} {data['probe']} {verdict}: {data['answer']}"
    if kind == "step":
        return f"  step {data['step']} {data['state']}"
    if kind in ("warning", "service"):
        return f"  {kind}: {data['message']}"
    if kind == "promotion":
        return _promotion(event)
    if kind == "share":
        return f"  {data['percent']} % of the clients go to {data['slot']}"
    if kind == "output":
        return f"  {data['message']}"
    return None


def _promotion(event: dict[str, Any]) -> str:
    data = event["data"]
    if data["state"] == "promoted":
        return f"  promoted by {data['by']}"
    until = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(data["until"]))
    return f"  it waits until {until} for: bluegreen promote {event['app']}"


def _phase(data: dict[str, Any]) -> str:
    phase, state = data["phase"], data["state"]
    if state == "intent":
        return f"{phase} …"
    if phase == "fetch" and state == "done" and "release" in data.get("data", {}):
        return f"{phase} done: {data['data']['release']}"
    return f"{phase} {state}"
