"""Rehearse: the migrations on a fresh copy of the data, before the real ones are touched."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from bluegreen.config.migrations_section import Migrations
from bluegreen.data.schema import differences
from bluegreen.errors import MigrationError
from bluegreen.model import PhaseName
from bluegreen.operations.migrating import commands_of
from bluegreen.operations.run import Run

SLACK = 120.0  # seconds for what is no command and no copy
COPY = ".bluegreen-rehearsal"  # in the release's tree, and gone with it


class Rehearse:
    """Run what is pending on a copy; or, where that is not wanted, only ask what is pending."""

    name = PhaseName.REHEARSE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        section = run.app.settings.migrations or Migrations()
        return SLACK + 3 * section.timeout + 2 * run.app.settings.data_timeout

    def intent(self, run: Run) -> dict[str, Any]:
        section = run.app.settings.migrations
        rehearses = section is not None and section.runs and section.rehearse
        run.migrating.rehearsal_over = not rehearses
        return {"tree": str(run.tree), "rehearses": rehearses}

    async def act(self, run: Run) -> dict[str, Any]:
        known, backups = run.migrating, run.app.backups
        known.schema = await backups.schema()
        if known.rehearsal_over:
            known.pending = await commands_of(run, self.name).pending()
            return _found(run, {})
        tree = run.tree
        if tree is None:
            raise RuntimeError("rehearse before fetch")
        copy = tree / COPY
        left_out = await backups.begin_rehearsal(
            tree, copy, run.logs / "rehearse-copy.log", run.say
        )
        if left_out:
            await run.say(f"{left_out} files are not in the copy: they are not in [backup]")
        data = await self._rehearse(run, copy)
        await backups.end_rehearsal(tree, copy, run.logs / "rehearse-copy.log")
        known.rehearsal_over = True
        if leaked := differences(known.schema, await backups.schema()):
            raise MigrationError(
                f"{run.app.name}: while the migrations were rehearsed, the real data changed",
                detail=leaked,
                remedy="if the migrations did it, let them find their data by {shared_dir} or by a "
                "path in the release, or write rehearse = false in [migrations]",
            )
        return _found(run, data)

    async def _rehearse(self, run: Run, copy: Path) -> dict[str, Any]:
        known, backups = run.migrating, run.app.backups
        commands = commands_of(run, self.name, copy)
        known.pending = await commands.pending()
        if known.pending == ():
            return {}
        began = time.monotonic()
        await commands.run()
        took = known.rehearsed_seconds = time.monotonic() - began
        if still := await commands.pending():
            raise MigrationError(
                f"{run.app.name}: run has ended well, and check still calls migrations pending in "
                "the rehearsal",
                detail=still,
                remedy="correct the release; the data were not touched. The whole output: "
                f"bluegreen logs {run.app.name} {run.operation.id} --phase {self.name}",
            )
        changes = differences(known.schema or {}, await backups.schema(copy))
        await run.say(f"rehearsed in {took:.1f} s: {'; '.join(changes) or 'the schema stays'}")
        return {"seconds": round(took, 3), "changes": changes}

    async def undo(self, run: Run) -> bool:
        """A tree whose links may lead to the copy is never used again."""
        if not run.migrating.rehearsal_over and run.tree is not None:
            await run.app.trees.disown(run.tree, run.tree / COPY)
        return True


def _found(run: Run, data: dict[str, Any]) -> dict[str, Any]:
    pending = run.migrating.pending
    return {"pending": None if pending is None else list(pending), **data}
