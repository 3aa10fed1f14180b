"""A history that was lost: said in every status, over restarts too, until an operator reloads."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from bluegreen.files import write_atomically
from bluegreen.layout import Layout
from bluegreen.operations.observation import first_free_operation

log = logging.getLogger(__name__)


def _note(layout: Layout) -> Path:
    return layout.state / "history-lost"


def is_missing(layout: Layout) -> bool:
    """Whether there is no database, and what lies beside it says that there was one. Blocking."""
    database = layout.database
    if database.exists() and database.stat().st_size > 0:
        return False
    markers = [path for slot in ("blue", "green") for path in
               layout.state.glob(f"apps/*/traffic/{slot}")]  # fmt: skip
    return bool(markers) or first_free_operation(layout) > 1


def remember(layout: Layout, what: str) -> None:
    """Say ``what`` from now on, in the log too. Blocking; what cannot be kept is logged."""
    at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    text = f"{what} ({at}); what the slots hold was observed anew"
    log.error("%s", text)
    try:
        write_atomically(_note(layout), text.encode())
    except OSError as error:
        log.error("this is not in the status: %s", error)


def warnings(layout: Layout) -> tuple[str, ...]:
    """What is to be said of it now. Blocking, of one small file."""
    try:
        text = _note(layout).read_text()
    except FileNotFoundError:
        return ()
    except OSError as error:
        text = f"the history was lost: {error}"
    return (f"{text}; this ends the warning: {layout.remedies.take_up}",)


def confirm(layout: Layout) -> None:
    """An operator has been told. Blocking."""
    _note(layout).unlink(missing_ok=True)
