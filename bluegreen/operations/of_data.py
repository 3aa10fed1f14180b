"""Which phases an app has because of its data, and the room on the disk that these need."""

from __future__ import annotations

import asyncio

from bluegreen.config.settings import AppSettings
from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.by_hand import Action, ByHand
from bluegreen.operations.runtime import AppRuntime

OF_DATA = frozenset({PhaseName.REHEARSE, PhaseName.BACKUP, PhaseName.MIGRATE})
"""The phases that a release has only where its app has data to care for."""


WHERE_ASKED_FOR = OF_DATA | {PhaseName.REVERSE}
"""The same, with what a rollback has only where its app has migrations."""


def data_phases(kind: OperationKind, version: str | None, app: AppSettings) -> set[PhaseName]:
    """Those of `WHERE_ASKED_FOR` that an operation goes through, as the app file is now."""
    if kind is OperationKind.MIGRATE:
        only_looks = ByHand.parse(version).action is Action.CHECK
        return set() if only_looks else {PhaseName.BACKUP, PhaseName.MIGRATE}
    migrations = app.migrations
    if kind is OperationKind.ROLLBACK and migrations is not None and migrations.mode != "none":
        return {PhaseName.BACKUP, PhaseName.REVERSE}
    if kind is not OperationKind.DEPLOY or app.backup is None:
        return set()
    if migrations is None:
        return {PhaseName.BACKUP}
    if migrations.mode == "none":
        return set()
    if migrations.runs:
        return set(OF_DATA)
    rehearsed = {PhaseName.REHEARSE} if migrations.rehearses else set[PhaseName]()
    return {PhaseName.BACKUP} | rehearsed


async def bytes_for_data(app: AppRuntime, kind: OperationKind, version: str) -> int:
    """What the copies of a rehearsal, or the backup after it, will take of the disk, whichever is
    more: the copies are gone by then. Raises DataError.
    """
    phases = data_phases(kind, version, app.settings)
    if not phases:
        return 0
    room = await app.backups.room()
    needed = room.backup if PhaseName.BACKUP in phases else 0
    migrations = app.settings.migrations
    if PhaseName.REHEARSE not in phases or migrations is None or not migrations.rehearses:
        return needed
    old = await _bytes_of_old(app) if migrations.tries_old_version else 0
    return max(needed, room.data + old)


async def _bytes_of_old(app: AppRuntime) -> int:
    """What a copy of the tree of the version that serves takes, where that is to be tried."""
    active = app.active
    tree = None if active is None else app.slots[active].tree
    if tree is None or not app.settings.gate.smoke:
        return 0
    info = await asyncio.to_thread(app.trees.info, tree)
    return 0 if info is None else info.bytes
