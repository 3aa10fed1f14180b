"""What a release has changed under a hold that nothing could name: there was no ``check``."""

from __future__ import annotations

from bluegreen.migrations.nouns import AppliedMigration, MigrationChange, MigrationPlace
from bluegreen.model import PhaseName, PhaseState
from bluegreen.operations.runtime import AppRuntime


async def unnamed_change(app: AppRuntime) -> AppliedMigration | None:
    """That of the release that serves, under a name for people; its backup is the operation's.

    None where its migrations have names, where it had none as far as anybody could see, and where
    nothing is known of it. Raises StoreError.
    """
    section = app.settings.migrations
    if section is None or section.mode != "hold":
        return None
    active = app.active
    held = None if active is None else app.slots[active]
    if held is None:
        return None
    if held.operation is None or held.version is None or held.tree is None:
        return None
    records = await app.parts.store.phases(held.operation)
    done = {one.phase: one for one in records if one.state is PhaseState.DONE}
    backup, rehearsal = done.get(PhaseName.BACKUP), done.get(PhaseName.REHEARSE)
    if backup is None or "backup" not in backup.data:
        return None
    if PhaseName.HOLD not in done and not backup.data.get("alone"):
        return None
    if PhaseName.REVERSE in done:
        return None  # a rollback undoes what has names, and runs nothing
    seen = {} if rehearsal is None else rehearsal.data
    if seen.get("pending") is not None:
        return None
    migrated = done.get(PhaseName.MIGRATE)
    changes = seen.get("changes", None if migrated is None else migrated.data.get("changes"))
    if changes == [] and _is_seen(app):
        return None
    place = MigrationPlace(version=held.version, slot=held.slot, tree=held.tree)
    return AppliedMigration(
        name=f"what {held.version} has changed",
        change=MigrationChange.APPLIED,
        operation=held.operation,
        place=place,
        at=backup.at,
        succeeded=True,
        named=False,
        commit=held.commit,
    )


def _is_seen(app: AppRuntime) -> bool:
    """Whether all data are such that their schema is looked at."""
    backup = app.settings.backup
    return backup is not None and backup.command is None
