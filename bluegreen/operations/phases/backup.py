"""A backup of the app's data, and what is kept of the older ones."""

from __future__ import annotations

from typing import Any

from bluegreen.data.manifest import Manifest
from bluegreen.errors import RefusedError
from bluegreen.model import PhaseName
from bluegreen.operations.putting_back import may_have_changed, put_back
from bluegreen.operations.run import Run
from bluegreen.operations.unwritten import promise

PIECES = 4  # of the work, each of which has the app's own time limit
SLACK = 120.0  # seconds


class Backup:
    """Copy, check, archive, verify; only then is it a backup."""

    name = PhaseName.BACKUP
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        backup = run.app.settings.backup
        programs = 0 if backup is None else 2 * len(backup.postgres) + 1
        return SLACK + (PIECES + programs) * run.app.settings.data_timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {"backup": run.operation.id}

    async def act(self, run: Run) -> dict[str, Any]:
        made = await run.app.backups.create(run.operation.id, run.logs, run.say)
        return {"backup": made.id, "bytes": made.bytes}

    async def undo(self, run: Run) -> bool:
        await run.app.backups.discard(run.operation.id)
        return True


class BackupBeforeChange(Backup):
    """Back up what the migrations, or a new release as it starts, may change."""

    async def act(self, run: Run) -> dict[str, Any]:
        if run.migrating.pending == ():
            return {"skipped": "nothing is pending"}
        if run.operation.from_slot is None and run.app.settings.migrations is None:
            # Nothing is ready yet for the commands of [backup].
            return {"skipped": "it is the first release"}
        operation, alone = run.operation, run.is_alone
        # Under a hold it is the way back, if only to nothing at all.
        goes_back = alone and run.app.settings.backup is not None
        if not await has_data(run) and not goes_back:
            return {"skipped": "there are no data yet"}
        if alone:
            await promise(run.app.layout, operation.id)
        made = await run.app.backups.create(
            operation.id, run.logs, run.say,
            reason=f"before {operation.kind} {operation.version or ''}".strip(),
            only_present=True,
        )  # fmt: skip
        await say_what_is_absent(run, made)
        run.migrating.backup = made.id
        return {"backup": made.id, "bytes": made.bytes, "alone": alone}

    async def undo(self, run: Run) -> bool:
        """Of one that is alone it is put back, if what came after may have changed the data."""
        if may_have_changed(run):
            await put_back(run)
        return await super().undo(run)


async def has_data(run: Run) -> bool:
    """Whether there is anything of what ``[backup]`` names, before migrations change it.

    Raises RefusedError where a release serves that must have made it by now.
    """
    app = run.app
    if app.settings.backup is None or await app.backups.has_data():
        return app.settings.backup is not None
    if app.active is None or app.settings.migrations is None:
        return False
    raise RefusedError(
        f"{app.name}: nothing of what [backup] names is there, so its migrations would change data "
        "without a backup",
        detail=[f"it is looked for in {app.layout.shared}"],
        remedy="correct the paths in [backup] of its app file; where this release is the first to "
        "have data at all, make an empty file or directory of that name before it",
    )


async def say_what_is_absent(run: Run, made: Manifest) -> None:
    """What may be a mistake in the app file, or be made by the release only now."""
    if made.absent and run.app.active is not None:
        await run.note(
            "warning", message=f"not there, and so not in the backup: {', '.join(made.absent)}"
        )


class Retain:
    """Remove what is older than the newest that are to be kept."""

    name = PhaseName.SETTLE
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return 600.0

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        return {"removed": await run.app.backups.prune()}

    async def undo(self, run: Run) -> bool:
        return True
