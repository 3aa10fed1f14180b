"""Migrate: the new release's migrations on the real data, while the old version serves."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, ClassVar

from bluegreen.config.migrations_section import Migrations
from bluegreen.errors import BluegreenError, MigrationError
from bluegreen.migrations.nouns import MigrationChange
from bluegreen.model import PhaseName
from bluegreen.operations.migrating import (
    commands_of,
    place_of,
    record_applied,
    schema_changes,
    to_data,
    to_its_end,
    way_back,
)
from bluegreen.operations.putting_back import is_by_backup
from bluegreen.operations.run import Run

SLACK = 300.0  # seconds for what is no command
MOST_AT_ONCE = 20  # migrations that an undo has the time for, each as long as it may take


class NotUndoneError(MigrationError):
    """Migrations stay as they are: on purpose, or as there is no way to undo them."""

    kind: ClassVar[str] = "not-undone"


class Migrate:
    """Run what is pending, and record by name what was applied."""

    name = PhaseName.MIGRATE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        section = run.app.settings.migrations or Migrations()
        undone = min(len(run.migrating.pending or ()), MOST_AT_ONCE)
        return SLACK + (3 + 2 * undone) * section.timeout

    def intent(self, run: Run) -> dict[str, Any]:
        place_of(run)
        return to_data(run.migrating)

    async def act(self, run: Run) -> dict[str, Any]:
        if run.migrating.pending == ():
            return {"skipped": "nothing is pending"}
        if PhaseName.HOLD in run.recorded:
            return await self._migrate(run)  # half of them is undone, and others wait
        return await to_its_end(self._migrate(run), name=f"migrations of {run.app.name}")

    async def _migrate(self, run: Run) -> dict[str, Any]:
        commands, began = commands_of(run, self.name), time.monotonic()
        try:
            await commands.run()
        except MigrationError as error:
            raise _told(run, error) from error
        took = time.monotonic() - began
        still = await commands.pending()
        applied = await record_applied(run, still)
        if still:
            pending = MigrationError(
                f"{run.app.name}: run has ended well, and check still calls migrations pending",
                detail=still,
                remedy=f"correct the release. The whole output: bluegreen logs {run.app.name} "
                f"{run.operation.id} --phase {self.name}",
            )
            raise _told(run, pending)
        for name in applied:
            await run.say(f"applied: {name}")
        done = {"applied": applied, "seconds": round(took, 3)}
        if PhaseName.HOLD in run.recorded and run.migrating.rehearsed_seconds is not None:
            return done  # in what the schema changes, the rehearsal has said; visitors wait
        return done | {"changes": await schema_changes(run)}

    async def undo(self, run: Run) -> bool:
        """Undo by name, newest first, what this operation has applied; else say what is left.

        Once the new release has had traffic nothing is undone by itself: it would lose what that
        has written, and the old version lives with the new schema.
        """
        if run.migrating.pending == ():
            return True
        if is_by_backup(run):
            return True  # the backup of before is put back
        found = _Found(changes=await _changes(run))  # before check: some make a table as they look
        try:
            still = await commands_of(run, self.name).pending()
            await record_applied(run, still)
            await _record_rolled_back(run, still)
            if not run.switched:
                found.undone = await self._roll_back(run)
        except BluegreenError as error:
            found.error = error
        await self._leave(run, found)
        return True

    async def _roll_back(self, run: Run) -> bool:
        """Whether all that this operation has applied is undone."""
        section = run.app.settings.migrations
        if section is None or section.rollback is None:
            return False
        for name in reversed(await _applied(run)):
            await roll_back(run, self.name, name)
        return True

    async def _leave(self, run: Run, found: _Found) -> None:
        """Raise NotUndoneError unless all is as it was; the outcome says the same."""
        known, app, section = run.migrating, run.app.name, run.app.settings.migrations
        applied = await _applied(run)
        lines = [f"applied, and still so: {', '.join(applied)}"] if applied else []
        now = await _changes(run)
        changes = "; ".join(line for line in found.changes if line in now)
        # What came to its end is undone when check says so, whatever an app keeps for itself.
        if changes and not (found.undone and await _came_to_its_end(run)):
            lines.append(f"{await _meaning(run)}: {changes}")
        if found.error is not None:
            lines += [f"not found out or not undone: {found.error.message}", *found.error.detail]
        if not lines:
            return
        remedy = way_back(run)
        if applied and found.error is None:
            if section is not None and section.rollback is not None:
                remedy = f"to undo it by name: bluegreen migrations rollback {app}"
            remedy = f"the old version goes on with the new schema; {remedy}"
        known.left, known.remedy = tuple(lines), remedy
        raise NotUndoneError(f"{app}: {lines[0]}", detail=lines[1:], remedy=remedy)


@dataclass
class _Found:
    """What an undo has found, and what it came to."""

    changes: list[str]  # in the schema, since before the migrations
    undone: bool = False
    error: BluegreenError | None = None


async def _changes(run: Run) -> list[str]:
    try:
        return await schema_changes(run)
    except BluegreenError as error:
        return [f"not known ({error.message})"]


async def _came_to_its_end(run: Run) -> bool:
    """Whether all that was pending has been applied, at some time, by this operation."""
    if run.migrating.pending is None:
        return False
    done = await run.app.parts.store.migrations.of_operation(run.operation.id)
    return all((name, MigrationChange.APPLIED) in done for name in run.migrating.pending)


async def _record_rolled_back(run: Run, still: tuple[str, ...] | None) -> None:
    """Of what this operation has applied, and an undo that was killed has already undone."""
    names = [name for name in await _applied(run) if name in (still or ())]
    await run.app.parts.store.migrations.record(
        run.operation.id, names, MigrationChange.ROLLED_BACK, place_of(run)
    )


async def _meaning(run: Run) -> str:
    """What it means that the databases differ from what they were before."""
    if run.migrating.pending is None:
        return "changed, and there are no names to undo it by"
    if await _came_to_its_end(run):
        return "what differs from before"
    return "a migration has ended half-way, and check calls it pending; what differs from before"


def _told(run: Run, error: MigrationError) -> MigrationError:
    """The error of a run on the real data, with where the data of before are."""
    backup = run.migrating.backup
    if backup is None:
        return error
    said = f"backup {backup} holds the data of before"
    return MigrationError(error.message, detail=[*error.detail, said], remedy=error.remedy)


async def _applied(run: Run) -> list[str]:
    """What this operation has applied and nobody has undone, the oldest first."""
    found = await run.app.parts.store.migrations.applied(run.app.name)
    return [one.name for one in found if one.operation == run.operation.id]


async def roll_back(run: Run, phase: PhaseName, name: str) -> None:
    """Undo one migration and record it. Raises MigrationError, also if it is applied still."""
    commands = commands_of(run, phase)
    await commands.rollback(name)
    if name not in (await commands.pending() or ()):
        raise MigrationError(
            f"{run.app.name}: the rollback of {name} has ended well, and check does not call it "
            "pending: it is applied still",
            remedy="see what it did: bluegreen logs "
            f"{run.app.name} {run.operation.id} --phase {phase}",
        )
    await run.app.parts.store.migrations.record(
        run.operation.id, [name], MigrationChange.ROLLED_BACK, place_of(run)
    )
    await run.say(f"rolled back: {name}")
