"""Under a hold, the data of before take their place again when the release has failed."""

from __future__ import annotations

from bluegreen.data.replacement import Step
from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import MigrationChange, PhaseName
from bluegreen.operations.migrating import way_back
from bluegreen.operations.run import Run


def may_have_changed(run: Run) -> bool:
    """Whether the release has begun with what changes data, and there is a backup of before."""
    begun = PhaseName.MIGRATE in run.recorded or PhaseName.START in run.recorded
    moved = run.app.active is run.target and run.target is not run.origin
    return run.migrating.backup is not None and begun and not moved


async def put_back(run: Run) -> None:
    """Restore the operation's own backup; done again after a crash, it comes to the same end.

    Nobody has written since it was made, but for what is undone. Raises BluegreenError with the
    run knowing what an operator has to do.
    """
    known = run.migrating
    if known.backup is None:
        raise RuntimeError("there is no backup")
    try:
        await _restore(run, known.backup)
    except BluegreenError as error:
        known.unrestored = True
        known.left = (f"the data of before are not put back: {error.message}", *error.detail)
        known.remedy = f"{error.remedy}; then {way_back(run)}"
        raise
    applied = await run.app.parts.store.applied_migrations(run.app.name)
    names = [one.name for one in applied if one.operation == run.operation.id]
    if names and known.place is not None:
        await run.app.parts.store.record_migrations(
            run.operation.id, names, MigrationChange.ROLLED_BACK, known.place
        )
    await run.say(f"the data of before are put back, from backup {known.backup}")


async def _restore(run: Run, number: int) -> None:
    backups, operation = run.app.backups, run.operation.id
    manifest = await backups.manifest(number)
    if manifest.damaged:
        raise RefusedError(
            f"databases were damaged before: {', '.join(manifest.damaged)}",
            remedy="look at the data yourself",
        )
    # Of an undo that was killed: what is half restored is laid out anew.
    await backups.each_replacement(number, operation, Step.PUT_BACK)
    await backups.stage(number, operation, run.logs / "undo-stage.log", run.say)
    for part in backups.loads(manifest, number):
        await backups.programs.load(part, logs=run.logs, operation=operation)
    await backups.each_replacement(number, operation, Step.CARRY_OUT)
    await backups.each_replacement(number, operation, Step.CLEAR)
