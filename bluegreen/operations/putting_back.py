"""The data of before take their place again when a release has failed that was alone with them."""

from __future__ import annotations

from bluegreen.data.replacement import Step
from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.migrations.nouns import MigrationChange
from bluegreen.model import PhaseName
from bluegreen.operations.by_hand import is_rollback
from bluegreen.operations.migrating import way_back
from bluegreen.operations.run import Run
from bluegreen.operations.unwritten import unwritten_since

_CHANGING = (PhaseName.MIGRATE, PhaseName.REVERSE, PhaseName.START)


def is_by_backup(run: Run) -> bool:
    """Whether the way back of the data is the operation's own backup, as a whole.

    Where the release is alone, has begun with what changes them, and traffic has not moved.
    """
    known, changing = run.migrating, not run.recorded.keys().isdisjoint(_CHANGING)
    moved = run.switched or run.app.active is not run.origin
    return run.is_alone and known.backup is not None and changing and not moved


def may_have_changed(run: Run) -> bool:
    """Whether the backup is to be put back: the release may have written since, and nobody else."""
    return is_by_backup(run) and _is_unwritten(run)


def _is_unwritten(run: Run) -> bool:
    return unwritten_since(run.app.layout) == run.operation.id


async def put_back(run: Run) -> None:
    """Restore the operation's own backup; done again after a crash, it comes to the same end.

    Nobody has written since it was made, but for what is undone. Raises BluegreenError with the
    run knowing what an operator has to do, which it also does should this not come to its end.
    """
    known = run.migrating
    if known.backup is None:
        raise RuntimeError("there is no backup")
    leave_as_they_are(run, "the data of before are not put back")
    try:
        await _restore(run, known.backup)
    except BluegreenError as error:
        known.left = (f"the data of before are not put back: {error.message}", *error.detail)
        known.remedy = f"{error.remedy}; then {way_back(run, closed=True)}"
        raise
    known.unrestored, known.left, known.remedy = False, (), None
    await run.say(f"the data of before are put back, from backup {known.backup}")


def leave_as_they_are(run: Run, said: str) -> None:
    """What may have changed is not put back, so that no version may be started on it."""
    known = run.migrating
    known.unrestored, known.left, known.remedy = True, (said,), way_back(run, closed=True)


async def record_as_before(run: Run) -> None:
    """Of data that were put back: what the operation applied is not applied any more.

    And what it rolled back is again. Apart from the data: whether these are put back is not for
    the store to decide. Nothing happens where they were not. Raises StoreError.
    """
    if is_by_backup(run) and not run.migrating.unrestored and not _is_unwritten(run):
        await _record_as_before(run)


async def _record_as_before(run: Run) -> None:
    store, operation = run.app.parts.store, run.operation.id
    now, before = MigrationChange.APPLIED, MigrationChange.ROLLED_BACK
    latest = await store.migrations.latest(run.app.name)
    if PhaseName.REVERSE in run.recorded or is_rollback(run.operation):
        now, before = before, now
        latest = latest[::-1]  # the newest went first, and is the newest again
    for one in latest:
        if one.operation == operation and one.change is now:
            await store.migrations.record(operation, [one.name], before, one.place)


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
