"""A restore: verified, what it replaces backed up, staged, and then put in its place.

Until the phase ``restore`` nothing of the app is touched. What that phase began is carried on after
a crash, and put back when it fails: the data are the old or the new ones, never half of each.
"""

from __future__ import annotations

from typing import Any

from bluegreen.data.manifest import Manifest
from bluegreen.data.programs import Part
from bluegreen.data.replacement import Step
from bluegreen.errors import BluegreenError
from bluegreen.migrations.nouns import MigrationChange
from bluegreen.model import PhaseName
from bluegreen.operations.phases.backup import Backup
from bluegreen.operations.restoring import require_restorable
from bluegreen.operations.run import Run
from bluegreen.operations.unwritten import end_promise

LIMIT = 600.0  # seconds for what is only renamed or removed
SLACK = 120.0


def backup_of(run: Run) -> int:
    """The number of the backup that is restored.

    Of a restore alone it is what the operation has as its version.
    """
    operation = run.operation
    return int(operation.version or 0) if operation.backup is None else operation.backup


async def _manifest(run: Run) -> Manifest:
    return await run.app.backups.manifest(backup_of(run))


class Verify:
    """Read the whole backup, before anything is touched."""

    name = PhaseName.VERIFY
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return SLACK + run.app.settings.data_timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {"backup": backup_of(run)}

    async def act(self, run: Run) -> dict[str, Any]:
        backups, number = run.app.backups, backup_of(run)
        # Asked again: until the operation began, the app could have been started.
        manifest = await require_restorable(run.app, number)
        await backups.require_verified(number, run.logs / "verify.log")
        return {"backup": number, "created_at": manifest.created_at}

    async def undo(self, run: Run) -> bool:
        return True


class BackupBefore(Backup):
    """Back up what is about to be replaced."""

    async def act(self, run: Run) -> dict[str, Any]:
        manifest = await _manifest(run)
        made = await run.app.backups.create(
            run.operation.id, run.logs, run.say, replaced_by=manifest
        )
        return {"backup": made.id, "bytes": made.bytes}


class Stage:
    """Databases and files beside their targets, on disk."""

    name = PhaseName.STAGE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        return SLACK + run.app.settings.data_timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {"backup": backup_of(run)}

    async def act(self, run: Run) -> dict[str, Any]:
        number = run.operation.id
        await run.app.backups.stage(backup_of(run), number, run.logs / "stage.log", run.say)
        return {}

    async def undo(self, run: Run) -> bool:
        await run.app.backups.each_replacement(backup_of(run), run.operation.id, Step.DISCARD)
        return True


class Restore:
    """What was staged takes its place, and programs load what is theirs."""

    name = PhaseName.RESTORE
    leaves_nothing = False

    def __init__(self) -> None:
        self._loaded: list[Part] | None = None  # None: an earlier daemon may have loaded them

    def limit(self, run: Run) -> float:
        backup = run.app.settings.backup
        programs = 0 if backup is None else len(backup.postgres) + 1
        return LIMIT + programs * run.app.settings.data_timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {"backup": backup_of(run), "replaced": run.operation.id}

    async def act(self, run: Run) -> dict[str, Any]:
        backups, manifest = run.app.backups, await _manifest(run)
        self._loaded = []
        for part in backups.loads(manifest, backup_of(run)):
            if not part.is_atomic:
                self._loaded.append(part)
            await backups.programs.load(part, logs=run.logs, operation=run.operation.id)
            if part.is_atomic:
                self._loaded.append(part)
            await run.say(f"{part.name}: restored")
        await backups.each_replacement(backup_of(run), run.operation.id, Step.CARRY_OUT)
        return {"backup": backup_of(run), "replaced": run.operation.id}

    async def undo(self, run: Run) -> bool:
        try:
            await self._put_back(run)
        except BluegreenError as error:
            number = run.operation.id
            message = f"what was there is not put back, and backup {number} holds it: "
            await run.note("warning", message=message + "; ".join(error.lines()))
            return False  # nothing that was staged or replaced may be removed by then
        return True

    async def _put_back(self, run: Run) -> None:
        backups, manifest = run.app.backups, await _manifest(run)
        await backups.each_replacement(backup_of(run), run.operation.id, Step.PUT_BACK)
        touched = self._loaded
        for part in backups.loads(manifest, run.operation.id):
            if touched is None or part.file in [one.file for one in touched]:
                await backups.programs.load(part, logs=run.logs, operation=run.operation.id)


class SettleRestore:
    """Remove what was replaced, as a backup holds it; record which migrations the data have now."""

    name = PhaseName.SETTLE
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return LIMIT

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        await record_migrations_of_backup(run)
        await run.app.backups.each_replacement(backup_of(run), run.operation.id, Step.CLEAR)
        await end_promise(run.app.layout)
        return {}

    async def undo(self, run: Run) -> bool:
        return True


async def record_migrations_of_backup(run: Run) -> None:
    """What was applied since the backup is not in the data, and what was undone since is."""
    store, app = run.app.parts.store, run.app.name
    then = (await run.app.backups.manifest(backup_of(run))).created_at
    before = {one.name: one for one in await store.migrations.latest(app, until=then)}
    for now in await store.migrations.latest(app):
        was = before.get(now.name)
        applied = was is not None and was.change is not MigrationChange.ROLLED_BACK
        if applied and was is not None and now.change is MigrationChange.ROLLED_BACK:
            await store.migrations.record(
                run.operation.id, [now.name], MigrationChange.APPLIED, was.place
            )
        elif not applied and now.change is not MigrationChange.ROLLED_BACK:
            await store.migrations.record(
                run.operation.id, [now.name], MigrationChange.ROLLED_BACK, now.place
            )
