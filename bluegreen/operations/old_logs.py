"""The output of operations is kept of the newest ones; the history itself is kept for ever."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from bluegreen.layout import number_of
from bluegreen.operations.runtime import AppRuntime
from bluegreen.sources.interruptible import Stop, in_thread
from bluegreen.sources.removal import remove_tree

log = logging.getLogger(__name__)

KEPT = 200  # operations of an app


async def remove_old(app: AppRuntime) -> None:
    """Remove what is not kept. What cannot be removed is said in the log, and tried again."""
    # The probes of what a slot holds are written there, too.
    held = {record.operation for record in app.slots.values() if record.operation is not None}
    directory = app.layout.logs / "operations"
    try:
        await in_thread(lambda stop: remove(directory, held, stop), name=f"old logs of {app.name}")
    except OSError as error:
        log.warning(
            "%s: %s: old output cannot be removed: %s", app.name, error.filename, error.strerror,
            extra={"app": app.name},
        )  # fmt: skip


def remove(directory: Path, held: Collection[int], stop: Stop) -> None:
    """Remove all but the newest `KEPT` in ``directory``, and those that are ``held``. Blocking."""
    if not directory.is_dir():
        return
    found = (number_of(path.name) for path in directory.iterdir())
    numbers = sorted(number for number in found if number is not None)
    for number in numbers[:-KEPT]:
        stop.check()
        if number not in held:
            remove_tree(directory / str(number))
