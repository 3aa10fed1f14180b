"""What a reload has changed, in words: of whoever asked for it and of the daemon's log."""

from __future__ import annotations

from collections.abc import Mapping


def taken_up(answer: Mapping[str, list[str]]) -> str:
    """Of its answer, which has names by what became of them."""
    changes = [
        f"{what.replace('_', ' ')} {', '.join(names)}" for what, names in answer.items() if names
    ]
    return "reloaded: " + ("; ".join(changes) if changes else "nothing has changed")
