"""Whether anybody but a release under a hold may have written since its backup was made.

A file says that nobody has. It is removed, for which the fullest disk has room, before anything
else is let at the data: what the store could not be told, it tells the next daemon. Without it a
backup is never put back by itself. It stays while an app is out of service because that failed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from bluegreen.errors import DataError
from bluegreen.files import sync_directory, write_atomically
from bluegreen.layout import AppLayout
from bluegreen.model import PhaseName, PhaseState

log = logging.getLogger(__name__)


async def promise(layout: AppLayout, operation: int) -> None:
    """Nobody else writes from now on; to be called before the backup is made. Raises DataError."""
    try:
        await asyncio.to_thread(write_atomically, layout.unwritten, f"{operation}\n")
    except OSError as error:
        raise DataError(
            f"{layout.unwritten} cannot be written: {error.strerror}",
            remedy="see that its disk is well and has some room (df -h), then try again",
        ) from error


def unwritten_since(layout: AppLayout) -> int | None:
    """The operation since whose backup nobody else has written, which is the backup's number."""
    try:
        return int(layout.unwritten.read_text())
    except (OSError, ValueError):
        return None


def let_in(layout: AppLayout, operation: int, states: Mapping[PhaseName, PhaseState]) -> bool:
    """Whether visitors may write since ``operation`` has changed, under a hold, what serves.

    The one that serves stays the same then, so that no marker says it. ``states`` are its phases.
    """
    opened = states.get(PhaseName.OPEN, PhaseState.UNDONE) is not PhaseState.UNDONE
    return opened and PhaseName.HOLD in states and unwritten_since(layout) != operation


async def end_promise(layout: AppLayout) -> None:
    """Others may write from now on; nothing happens if it was over."""
    try:
        await asyncio.to_thread(break_promise, layout.unwritten)
    except OSError as error:
        # Nothing can be removed there, so that no requests can be let through either.
        log.error("%s", error)


def break_promise(path: Path) -> None:
    """`end_promise` of the file ``path``. Blocking; raises OSError."""
    try:
        path.unlink()
    except FileNotFoundError:
        return
    sync_directory(path.parent)
