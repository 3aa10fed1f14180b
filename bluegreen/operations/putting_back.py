"""Under a hold, the data of before take their place again when the release has failed."""

from __future__ import annotations

from bluegreen.data.replacement import Step
from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import MigrationChange, PhaseName
from bluegreen.operations.migrating import way_back
from bluegreen.operations.run import Run

_CHANGING = (PhaseName.MIGRATE, PhaseName.REVERSE, PhaseName.START)


def may_have_changed(run: Run) -> bool:
    """Whether the release has begun with what changes data, and nobody else has written since.

    And there is a backup of before.
    """
    begun = not run.recorded.keys().isdisjoint(_CHANGING)
    moved = run.app.active is run.target and run.target is not run.origin
    return run.migrating.backup is not None and begun and not moved and not run.switched


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
    await _record_as_before(run)
    await run.say(f"the data of before are put back, from backup {known.backup}")


async def _record_as_before(run: Run) -> None:
    """What the operation has applied is not applied any more, and what it rolled back is again."""
    store, operation = run.app.parts.store, run.operation.id
    now, before = MigrationChange.APPLIED, MigrationChange.ROLLED_BACK
    if PhaseName.REVERSE in run.recorded:
        now, before = before, now
    for one in await store.latest_of_migrations(run.app.name):
        if one.operation == operation and one.change is now:
            await store.record_migrations(operation, [one.name], before, one.place)


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
