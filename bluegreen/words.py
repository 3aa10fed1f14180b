"""Times, and what an operation was about, in words, for people."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any


def seconds(duration: float) -> str:
    """``3.2 s``, ``4 min 10 s``, ``12 ms``; none where a clock that was set back says less."""
    duration = max(0.0, duration)
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    minutes, rest = divmod(round(duration), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def clock(at: float) -> str:
    """``14:03:21``: of a Unix time, in the zone of this host."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def ago(when: float) -> str:
    """``3 min ago``: of a Unix time."""
    passed = max(0.0, time.time() - when)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if passed >= size:
            return f"{passed / size:.0f} {unit} ago"
    return f"{passed:.0f} s ago"


def counted(number: int, noun: str) -> str:
    """``1 row``, ``1,200 rows``"""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def subject(operation: Mapping[str, Any]) -> str:
    """``v2``, ``v2 with the data of backup 6``: what the API's document of one brings, or ""."""
    version = operation["version"] or ""
    backup = operation.get("backup")  # an older daemon says nothing of it
    return version if backup is None else f"{version} with the data of backup {backup}".lstrip()
