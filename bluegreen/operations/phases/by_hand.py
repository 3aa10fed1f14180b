"""Migrations by hand: asked what is pending, run, undone by name, marked as applied."""

from __future__ import annotations

from typing import Any

from bluegreen.config.migrations_section import Migrations
from bluegreen.errors import BluegreenError, MigrationError
from bluegreen.migrations.nouns import MigrationChange
from bluegreen.model import PhaseName
from bluegreen.operations.by_hand import Action, ByHand, place_for
from bluegreen.operations.findings import all_of
from bluegreen.operations.migrating import (
    commands_of,
    place_of,
    record_applied,
    schema_changes,
    way_back,
)
from bluegreen.operations.phases.hold import needs_hold
from bluegreen.operations.phases.migrate import SLACK, Migrate, NotUndoneError, roll_back
from bluegreen.operations.putting_back import is_by_backup
from bluegreen.operations.run import Run
from bluegreen.requirements.backup_programs import unmet_backup


class Check:
    """Which migrations are pending, in the tree in which something will be done."""

    name = PhaseName.CHECK
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        section = run.app.settings.migrations or Migrations()
        return SLACK + section.timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        known, request = run.migrating, ByHand.parse(run.operation.version)
        known.place = await place_for(run.app, request)
        pending = await commands_of(run, self.name).pending()
        known.pending = pending
        if request.action in (Action.CHECK, Action.RUN):
            for name in pending or ():
                await run.say(f"pending: {name}")
            if pending == ():
                await run.say(f"nothing is pending in {known.place.version}")
        else:
            _require_sense(run, request, pending or ())
        if request.action is Action.ROLLBACK and request.name is not None:
            await _say_who_serves(run, request.name)
        if request.action is not Action.CHECK:
            known.schema = await run.app.backups.schema()
        if request.action in (Action.ROLLBACK, Action.MARK_APPLIED):
            known.pending = None  # what else is pending is not touched
        if needs_hold(run):
            await self._require_backup(run)
        return {
            "pending": None if pending is None else list(pending),
            "tree": str(known.place.tree), "version": known.place.version,
        }  # fmt: skip

    async def _require_backup(self, run: Run) -> None:
        """Found out now, as nobody waits yet. Raises PreflightError."""
        app, log = run.app, run.logs / f"{self.name}-backup.log"
        if found := await unmet_backup(app.backups, f"{run.operation.id}-programs", log):
            raise all_of(found, app.name, f"migrations {run.operation.version} from being done")

    async def undo(self, run: Run) -> bool:
        return True


async def _say_who_serves(run: Run, name: str) -> None:
    """Whether the release that serves came with the migration, and has to do without it then."""
    app = run.app
    applied = {one.name: one for one in await app.parts.store.migrations.applied(app.name)}
    active, found = app.active, applied.get(name)
    if active is None or found is None or (app.slots[active].operation or 0) < found.operation:
        return
    lives = "goes on without: if it cannot, go"
    if needs_hold(run):
        lives = "has to pass its gate without, or all is put back; to go"
    await run.note(
        "warning",
        message=f"{app.slots[active].label} serves, came with {name} or after it, and {lives} back "
        f"with it: bluegreen rollback {app.name} --to VERSION",
    )


def _require_sense(run: Run, request: ByHand, pending: tuple[str, ...]) -> None:
    app, name = run.app.name, request.name
    if request.action is Action.ROLLBACK and name in pending:
        raise MigrationError(
            f"{app}: check calls {name} pending: there is nothing to undo",
            remedy=f"see what is pending: bluegreen migrations check {app}; if it is applied all "
            f"the same: bluegreen migrations mark-applied {app} {name}",
        )
    if request.action is Action.MARK_APPLIED and name not in pending:
        raise MigrationError(
            f"{app}: check does not call {name} pending: there is nothing to mark",
            detail=[f"pending: {', '.join(pending) or 'nothing'}"],
            remedy=f"see what is pending: bluegreen migrations check {app}",
        )


class MigrateByHand(Migrate):
    """Do what was asked for.

    What it has done where nobody is held is accounted for, and not undone by itself.
    """

    async def _migrate(self, run: Run) -> dict[str, Any]:
        request = ByHand.parse(run.operation.version)
        if request.action is Action.RUN or request.name is None:
            return await super()._migrate(run)
        if request.action is Action.ROLLBACK:
            await roll_back(run, self.name, request.name)
        else:
            await self._mark(run, request.name)
        return {"changes": await schema_changes(run)}

    async def _mark(self, run: Run, name: str) -> None:
        commands = commands_of(run, self.name)
        await commands.mark_applied(name)
        if name in (await commands.pending() or ()):
            raise MigrationError(
                f"{run.app.name}: mark_applied has ended well, and check still calls {name} "
                "pending",
                remedy="see what it did: bluegreen logs "
                f"{run.app.name} {run.operation.id} --phase {self.name}",
            )
        await self._record(run, name, MigrationChange.MARKED)
        await run.say(f"marked as applied: {name}")

    async def _record(self, run: Run, name: str, change: MigrationChange) -> None:
        await run.app.parts.store.migrations.record(run.operation.id, [name], change, place_of(run))

    async def undo(self, run: Run) -> bool:
        """Say, and record, how far it came; under a hold the backup of before is put back."""
        if run.migrating.pending == () or is_by_backup(run):
            return True
        request = ByHand.parse(run.operation.version)
        lines: list[str] = []
        try:
            changes = await schema_changes(run)  # before check: some make a table as they look
            pending = await commands_of(run, self.name).pending()
            lines += await self._came_to(run, request, pending)
            lines += [f"it differs from before: {line}" for line in changes]
        except BluegreenError as error:
            lines += [f"what is applied could not be found out: {error.message}", *error.detail]
        if not lines:
            return True
        run.migrating.left, run.migrating.remedy = tuple(lines), way_back(run)
        raise NotUndoneError(f"{run.app.name}: {lines[0]}", detail=lines[1:], remedy=way_back(run))

    async def _came_to(
        self, run: Run, request: ByHand, pending: tuple[str, ...] | None
    ) -> list[str]:
        name = request.name
        if name is None:
            applied = await record_applied(run, pending)
            return [f"applied: {', '.join(applied)}"] if applied else []
        is_pending = name in (pending or ())
        if request.action is Action.ROLLBACK and is_pending:
            await self._record(run, name, MigrationChange.ROLLED_BACK)
            return [f"rolled back: {name}"]
        if request.action is Action.MARK_APPLIED and not is_pending:
            await self._record(run, name, MigrationChange.MARKED)
            return [f"marked as applied: {name}"]
        return []
