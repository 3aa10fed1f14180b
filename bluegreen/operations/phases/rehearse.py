"""Rehearse: the migrations on a fresh copy of the data, before the real ones are touched."""

from __future__ import annotations

import contextlib
import time
from typing import Any

from bluegreen.config.invariants import measuring_time
from bluegreen.config.migrations_section import Migrations
from bluegreen.data.backups import RehearsalPlace
from bluegreen.data.schema import differences
from bluegreen.errors import BluegreenError, DataError, GateError, MigrationError
from bluegreen.model import PhaseName
from bluegreen.operations.copies import end_copies_left
from bluegreen.operations.migrating import commands_of
from bluegreen.operations.phases.measure import measured_on, require_unchanged_on
from bluegreen.operations.run import Run
from bluegreen.operations.trying import start_new_version, try_old_version
from bluegreen.words import counted

SLACK = 120.0  # seconds for what is no command and no copy


class Rehearse:
    """Run what is pending on a copy; or, where that is not wanted, only ask what is pending."""

    name = PhaseName.REHEARSE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        section = settings.migrations or Migrations()
        copying = settings.copying_time + 2 * settings.data_timeout
        services = 2 * settings.gate.rehearsal_time
        asked = 2 * measuring_time(settings.gate.unchanged)
        return SLACK + 3 * section.timeout + copying + services + asked

    def intent(self, run: Run) -> dict[str, Any]:
        section = run.app.settings.migrations
        rehearses = section is not None and section.rehearses
        run.migrating.rehearsal_over = not rehearses
        return {"tree": str(run.tree), "rehearses": rehearses}

    async def act(self, run: Run) -> dict[str, Any]:
        known, backups = run.migrating, run.app.backups
        known.schema = await backups.schema()
        if known.rehearsal_over:
            known.pending = await commands_of(run, self.name).pending()
            return _found(run, {})
        if run.tree is None:
            raise RuntimeError("rehearse before fetch")
        place, log = RehearsalPlace(run.tree), run.logs / "rehearse-copy.log"
        await end_copies_left(run.app)
        left_out = await backups.begin_rehearsal(place, log, run.say)
        if left_out:
            files = counted(left_out, "file")
            await run.say(f"not in the copy, as [backup] does not name them: {files}")
        try:
            data = await self._rehearse(run, place)
        except (MigrationError, GateError) as error:
            with contextlib.suppress(DataError):  # what has failed first is what is told
                await self._require_untouched(run, error)
            raise
        await backups.drop_copies(place, log)
        await backups.end_rehearsal(place, log)
        known.rehearsal_over = True
        await self._require_untouched(run)
        return _found(run, data)

    async def _require_untouched(self, run: Run, failed: BluegreenError | None = None) -> None:
        """Raises MigrationError where the schema of the real data has changed, whatever failed."""
        leaked = differences(run.migrating.schema or {}, await run.app.backups.schema())
        if leaked:
            raise MigrationError(
                f"{run.app.name}: while the migrations were rehearsed, the real data changed",
                detail=[*leaked, *([] if failed is None else [failed.message])],
                remedy="if the migrations did it, let them find their data by {shared_dir}, by a "
                "path in the release or by a name that {copy} ends, or write rehearse = false in "
                "[migrations]",
            ) from failed

    async def _rehearse(self, run: Run, place: RehearsalPlace) -> dict[str, Any]:
        known, backups = run.migrating, run.app.backups
        commands = commands_of(run, self.name, place.data)
        known.pending = await commands.pending()
        if known.pending == ():
            return {}
        # Not that of the data: what a dump makes of a definition may have other words.
        copied = await backups.schema(place.data)
        measured = await measured_on(run, place.data)
        began = time.monotonic()
        if commands.has_run:
            await commands.run()
        elif not await backups.has_data():
            return {"skipped": "there are no data yet"}
        else:
            await start_new_version(run, place)
        took = time.monotonic() - began
        known.rehearsed_seconds = round(took, 3)
        if still := await commands.pending():
            how = "run has ended well" if commands.has_run else "the release has come up"
            raise MigrationError(
                f"{run.app.name}: {how}, and check still calls migrations pending in the rehearsal",
                detail=still,
                remedy="correct the release; the data were not touched. The whole output: "
                f"bluegreen logs {run.app.name} {run.operation.id} --phase {self.name}",
            )
        await require_unchanged_on(run, measured, place.data)
        changes = differences(copied, await backups.schema(place.data))
        await run.say(f"rehearsed in {took:.1f} s: {'; '.join(changes) or 'the schema stays'}")
        data = {"seconds": known.rehearsed_seconds, "changes": changes}
        if known.pending is None and not changes:
            return data  # as far as anybody can tell, there was nothing to migrate
        return data | await try_old_version(run, place)

    async def undo(self, run: Run) -> bool:
        """A tree whose links may lead to the copy is never used again."""
        if not run.migrating.rehearsal_over and run.tree is not None:
            place = RehearsalPlace(run.tree)
            try:  # while the directory is there, which a drop_command may ask for
                await run.app.backups.drop_copies(place, run.logs / "rehearse-copy.log")
            finally:
                await run.app.trees.disown(run.tree, place.directory)
        return True


def _found(run: Run, data: dict[str, Any]) -> dict[str, Any]:
    pending = run.migrating.pending
    return {"pending": None if pending is None else list(pending), **data}
