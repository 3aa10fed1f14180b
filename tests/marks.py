"""The markers of an app as files, wherever among them they are."""

from __future__ import annotations

import os
from pathlib import Path


def marker_names(directory: Path) -> set[str]:
    """``closed`` and ``hold``, which are in a directory of their own, beside the slot's.

    That directory may go as we look: it holds no marker then. One that is renamed meanwhile may be
    missed: two looks alike have missed none.
    """
    names, before = _seen(directory), None
    while names != before:
        names, before = _seen(directory), names
    return names


def _seen(directory: Path) -> set[str]:
    return {name for _, _, names in os.walk(directory) for name in names}
