"""Whether data may be backed up or restored now, and what a restore would lose."""

from __future__ import annotations

from typing import Any

from bluegreen.data.manifest import Manifest
from bluegreen.errors import RefusedError
from bluegreen.model import Slot, UnitState
from bluegreen.operations.runtime import AppRuntime


def require_backups(app: AppRuntime) -> None:
    """Raises RefusedError where the app's file names no data."""
    if app.settings.backup is None:
        raise RefusedError(
            f"{app.name}: its app file does not say what is to be backed up",
            remedy=f"add [backup] to {app.parts.layout.app_files / app.name}.toml, with "
            'sqlite = ["data/app.db"] for instance, then: '
            f"{app.parts.layout.remedies.take_up}",
        )


async def require_restorable(app: AppRuntime, number: int) -> Manifest:
    """The backup's manifest, if it may be restored now. Raises RefusedError and NotFoundError."""
    manifest = await app.backups.require_restorable(number)
    traffic = app.parts.traffic.read(app.name)
    running = [
        f"{key.service} of {key.slot}"
        for slot in Slot
        for key in app.keys(slot)
        if app.parts.supervisor.status(key).state is not UnitState.STOPPED
    ]
    if running or (traffic.active is not None and not traffic.closed):
        serving = "serves" if traffic.active is not None and not traffic.closed else "runs"
        raise RefusedError(
            f"{app.name} {serving}, and a restore would take its data from under it",
            detail=[f"running: {', '.join(running)}"] if running else [],
            remedy=f"take it out of service first: bluegreen stop {app.name}; afterwards: "
            f"bluegreen start {app.name}",
        )
    return manifest


async def release_of_backup(app: AppRuntime, number: int) -> str:
    """The version that served when the backup was made, if both can be brought back.

    Raises RefusedError, NotFoundError.
    """
    require_backups(app)
    manifest = await app.backups.require_restorable(number)
    if manifest.version is None:
        raise RefusedError(
            f"{app.name}: no release served when backup {number} was made",
            remedy=f"name one: bluegreen rollback {app.name} --to VERSION --restore {number}",
        )
    return manifest.version


async def loss(app: AppRuntime, number: int, *, serving: bool = False) -> dict[str, Any]:
    """What a restore would lose.

    Raises as `require_restorable` does, as it changes until then; not if it may be ``serving``:
    then it is what is lost by now.
    """
    if serving:
        await app.backups.require_restorable(number)
    else:
        await require_restorable(app, number)
    return {"app": app.name, **await app.backups.loss(number)}
