"""The markers of an app as files, wherever among them they are."""

from __future__ import annotations

from pathlib import Path


def marker_names(directory: Path) -> set[str]:
    """``closed`` and ``hold``, which are in a directory of their own, beside the slot's."""
    return {path.name for path in directory.rglob("*") if path.is_file()}
