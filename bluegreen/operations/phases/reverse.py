"""Reverse: once an older release serves, undo the migrations that came after it, newest first.

The older release lives with the newer schema (that is what mode "online" says), the newer one need
not live with the older: so traffic moves first, and the newer release is stopped before its schema
goes.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from bluegreen.config.migrations_section import Migrations
from bluegreen.data.backups import RehearsalPlace
from bluegreen.data.schema import differences
from bluegreen.errors import BluegreenError, MigrationError, RefusedError, SlotError
from bluegreen.migrations.commands import Commands
from bluegreen.migrations.nouns import AppliedMigration, MigrationChange, MigrationPlace
from bluegreen.model import PhaseName, PhaseState
from bluegreen.operations.copies import end_copies_left
from bluegreen.operations.draining import let_end_on_the_way_back, time_to_stop
from bluegreen.operations.migrating import commands_of, to_its_end
from bluegreen.operations.phases.backup import Backup, has_data, say_what_is_absent
from bluegreen.operations.phases.migrate import MOST_AT_ONCE, roll_back
from bluegreen.operations.putting_back import may_have_changed, put_back
from bluegreen.operations.reversing import came_after, place_of_reversal, way_left
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import cold
from bluegreen.operations.unwritten import promise
from bluegreen.slots.stamp import remove_stamp

SLACK = 600.0  # seconds for what is no command and no copy


@dataclass(frozen=True, kw_only=True)
class StepBack:
    """One migration and where it is undone."""

    migration: AppliedMigration
    place: MigrationPlace

    @property
    def name(self) -> str:
        return self.migration.name


class BackupBeforeReverse(Backup):
    """Back up what the older release serves on, if any migration came after it."""

    async def act(self, run: Run) -> dict[str, Any]:
        if not await _came_after(run):
            return {"skipped": "no migration came after it"}
        await has_data(run)
        if run.is_alone:
            await promise(run.app.layout, run.operation.id)
        made = await run.app.backups.create(
            run.operation.id, run.logs, run.say,
            reason=f"before the migrations after {_version(run)} are rolled back",
            only_present=True,
        )  # fmt: skip
        await say_what_is_absent(run, made)
        run.migrating.backup = made.id
        return {"backup": made.id, "bytes": made.bytes}

    async def undo(self, run: Run) -> bool:
        """The older release has proved itself: without the backup it goes on where it is.

        Where it has not begun, what was there before is put back.
        """
        if may_have_changed(run):
            await put_back(run)
        await super().undo(run)
        return not run.switched


class Reverse:
    """Rehearse it on a copy, then do it, and record by name what is undone."""

    name = PhaseName.REVERSE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        section = run.app.settings.migrations or Migrations()
        copying = run.app.settings.copying_time + run.app.settings.data_timeout
        drain = time_to_stop(run.app)
        return SLACK + drain + copying + 6 * MOST_AT_ONCE * section.timeout

    def intent(self, run: Run) -> dict[str, Any]:
        return {"after": _version(run)}

    async def act(self, run: Run) -> dict[str, Any]:
        return await to_its_end(self._act(run), name=f"migrations of {run.app.name}")

    async def _act(self, run: Run) -> dict[str, Any]:
        data: dict[str, Any] = {"skipped": "no migration came after it"}
        if steps := await steps_back(run):
            await _stop_newer(run)
            data = {"rolled_back": await reverse(run, steps)}
        # Here, as whoever was cancelled would not come to it.
        await run.record(self.name, PhaseState.DONE, data)
        return data

    async def undo(self, run: Run) -> bool:
        """Apply again what was rolled back, or say where it stands. Traffic stays.

        The older release has passed its watch, and lives with either schema.
        """
        lines: list[str] = []
        again: list[str] = []
        try:
            await _end_rehearsals(run)
            await _record_what_is_undone(run)
            again = await _apply_again(run)
        except BluegreenError as error:
            lines += [error.message, *error.detail]
        gone = await _undone(run)
        still = [one.name for one in await _came_after(run)]
        if again:
            lines.insert(0, f"rolled back, and applied again: {', '.join(again)}")
        if gone:
            lines.insert(0, f"rolled back, and not applied again: {', '.join(gone)}")
        if still:
            lines.insert(0, f"applied, and still so: {', '.join(still)}")
        app, backup = run.app.name, run.migrating.backup
        remedy = f"{_version(run)} serves, with the schema as it is now"
        if still:
            remedy += f"; to go on by name, newest first: bluegreen migrations rollback {app}"
        if backup is not None:
            remedy += f"; backup {backup} has the data of before"
        run.migrating.left, run.migrating.remedy = tuple(lines), remedy
        return False


class ReverseUnderHold(Reverse):
    """The same before the older release starts, as it cannot live with the schema."""

    async def _act(self, run: Run) -> dict[str, Any]:
        steps = await steps_back(run)
        if not steps:
            return {"skipped": "no migration came after it"}
        await has_data(run)
        try:
            rolled_back = await undo_by_name(run, steps)
        except MigrationError as error:
            left = await way_left(run.app, [step.migration for step in steps])
            raise MigrationError(
                error.message,
                detail=error.detail,
                remedy=f"{error.remedy}; where there is no way back by name, {left}",
            ) from error
        run.migrating.rolled_back = tuple(rolled_back)
        return {"rolled_back": rolled_back}

    async def act(self, run: Run) -> dict[str, Any]:
        return await self._act(run)  # half of them is put back, and others wait

    async def undo(self, run: Run) -> bool:
        """The backup of before is put back."""
        return True


async def reverse(run: Run, steps: Sequence[StepBack]) -> list[str]:
    """Undo ``steps`` on the real data, rehearsed on a copy before; returns the names.

    Nothing that needs the newer schema may run meanwhile: the caller has stopped it, or holds the
    app's requests. Raises MigrationError.
    """
    await _rehearse(run, steps)
    return await undo_by_name(run, steps)


async def undo_by_name(run: Run, steps: Sequence[StepBack]) -> list[str]:
    """Undo ``steps`` on the real data; returns the names. Raises MigrationError."""
    for step in steps:
        run.migrating.place = step.place
        pending = await commands_of(run, PhaseName.REVERSE).pending()
        if step.name in (pending or ()):
            await _record(run, step.name, MigrationChange.ROLLED_BACK)  # undone before a crash
        else:
            await roll_back(run, PhaseName.REVERSE, step.name)
    return [step.name for step in steps]


async def _came_after(run: Run) -> list[AppliedMigration]:
    return await came_after(run.app, _version(run), run.pinned_commit)


def _version(run: Run) -> str:
    return run.operation.version or ""


async def steps_back(run: Run) -> list[StepBack]:
    """What is to be undone, the newest first. Raises MigrationError."""
    steps = []
    for one in await _came_after(run):
        place = await place_of_reversal(run.app, one, run.origin)
        if place is None:
            raise MigrationError(
                f"{run.app.name}: no tree is left that could roll {one.name} back",
                remedy=f"deploy {one.place.version} again, then repeat this",
            )
        steps.append(StepBack(migration=one, place=place))
    return steps


async def _stop_newer(run: Run) -> None:
    """From now on no switch is instant: the newer release need not live with what comes."""
    app, newer = run.app, run.target.other
    async with app.commit:
        if app.active is not run.target:
            raise RefusedError(
                f"{app.name}: traffic has moved to {app.active}: nothing is rolled back",
                remedy=f"look again: bluegreen status {app.name}",
            )
        await app.save_slot(cold(app.slots[newer]))
    await app.stop_warming()
    await let_end_on_the_way_back(run, newer)
    await app.stop_services(newer)


# -- the rehearsal ----------------------------------------------------------------------------


async def _rehearse(run: Run, steps: Sequence[StepBack]) -> None:
    """On a copy in the tree of the newest, as far as that tree's migrations go."""
    section = run.app.settings.migrations
    if section is None or not section.rehearse:
        return
    place, backups = steps[0].place, run.app.backups
    own = list(takewhile(lambda step: step.place.tree == place.tree, steps))
    if rest := [step.name for step in steps[len(own) :]]:
        await run.say(f"not rehearsed, as another release applied it: {', '.join(rest)}")
    rehearsal, log = RehearsalPlace(place.tree), run.logs / "reverse-copy.log"
    before = await backups.schema()
    await end_copies_left(run.app)
    try:
        await backups.begin_rehearsal(rehearsal, log, run.say)
        copied = await backups.schema(rehearsal.data)
        run.migrating.place = place
        commands = commands_of(run, PhaseName.REVERSE, rehearsal.data)
        for step in own:
            await _rehearse_one(run, commands, step.name)
        changes = differences(copied, await backups.schema(rehearsal.data))
    finally:
        await _end_rehearsal(run, place)
    if leaked := differences(before, await backups.schema()):
        raise MigrationError(
            f"{run.app.name}: while the rollback was rehearsed, the real data changed",
            detail=leaked,
            remedy="if rollback did it, let it find the data by {shared_dir}, by a path in the "
            "release or by a name that {copy} ends, or write rehearse = false in [migrations]",
        )
    await run.say(f"rehearsed: {'; '.join(changes) or 'the schema stays'}")


async def _rehearse_one(run: Run, commands: Commands, name: str) -> None:
    if name in (await commands.pending() or ()):
        return
    await commands.rollback(name)
    if name not in (await commands.pending() or ()):
        raise MigrationError(
            f"{run.app.name}: in the rehearsal the rollback of {name} has ended well, and check "
            "does not call it pending: it is applied still",
            remedy="the data were not touched; see what it did: bluegreen logs "
            f"{run.app.name} {run.operation.id} --phase {PhaseName.REVERSE}",
        )


async def _end_rehearsal(run: Run, place: MigrationPlace) -> None:
    rehearsal, log = RehearsalPlace(place.tree), run.logs / "reverse-copy.log"
    try:
        await run.app.backups.drop_copies(rehearsal, log)
    finally:
        await _lead_back(run, place, rehearsal, log)


async def _lead_back(run: Run, place: MigrationPlace, rehearsal: RehearsalPlace, log: Path) -> None:
    """Lead the tree's links to the real data; where that fails, nothing may ever start there."""
    try:
        await run.app.backups.end_rehearsal(rehearsal, log)
    except BluegreenError as error:
        await asyncio.to_thread(remove_stamp, place.tree)
        raise SlotError(
            f"{run.app.name}: the links of {place.tree} do not lead back to its data, and no slot "
            "gets it any more",
            detail=error.lines(),
            remedy=f"deploy {place.version} again if you want it",
        ) from error


async def _end_rehearsals(run: Run) -> None:
    """Of one that was killed: the copy is there for as long as a link may lead to it."""
    latest = await run.app.parts.store.migrations.latest(run.app.name)
    for place in {one.place.tree: one.place for one in latest}.values():
        if await asyncio.to_thread(os.path.lexists, RehearsalPlace(place.tree).directory):
            await _end_rehearsal(run, place)


# -- when it fails ----------------------------------------------------------------------------


async def _record_what_is_undone(run: Run) -> None:
    """Of what is recorded as applied: a rollback may have failed, or been killed, at its end."""
    for step in await steps_back(run):
        run.migrating.place = step.place
        if step.name in (await commands_of(run, PhaseName.REVERSE).pending() or ()):
            await _record(run, step.name, MigrationChange.ROLLED_BACK)
        else:
            return  # none before it was begun


async def _apply_again(run: Run) -> list[str]:
    """Let the newest release that was undone apply what is pending; the names. MigrationError."""
    gone = await _undone(run)
    if not gone:
        return []
    latest = await run.app.parts.store.migrations.latest(run.app.name)
    # The first that was undone is the newest: its release knows all of them.
    run.migrating.place = next(one.place for one in latest if one.name in gone)
    commands = commands_of(run, PhaseName.REVERSE)
    await commands.run()
    still = await commands.pending() or ()
    again = [name for name in reversed(gone) if name not in still]
    for name in again:
        await _record(run, name, MigrationChange.APPLIED)
    return again


async def _undone(run: Run) -> list[str]:
    """What this operation has rolled back and nobody has applied since, in that order."""
    latest = await run.app.parts.store.migrations.latest(run.app.name)
    return [
        one.name
        for one in latest
        if one.operation == run.operation.id and one.change is MigrationChange.ROLLED_BACK
    ]


async def _record(run: Run, name: str, change: MigrationChange) -> None:
    place = run.migrating.place
    if place is None:
        raise RuntimeError("a migration without a place")
    await run.app.parts.store.migrations.record(run.operation.id, [name], change, place)
