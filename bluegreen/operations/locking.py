"""An operator's lock of an app: against releases, never against a switch back."""

from __future__ import annotations

from bluegreen.errors import LockedError
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store.operations import clock_time


async def refuse_if_locked(app: AppRuntime) -> None:
    """Raises LockedError, which says who has locked it, since when and why."""
    lock = await app.parts.store.lock(app.name)
    if lock is not None:
        raise LockedError(
            f"{app.name} is locked by {lock.by}, since {clock_time(lock.at)}: {lock.reason}",
            remedy=f"when it may be released again: bluegreen unlock {app.name}",
        )
