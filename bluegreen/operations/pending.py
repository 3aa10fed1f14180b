"""Which migrations a release that is not deployed yet would find pending, as far as is known."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.data.backups import RehearsalPlace
from bluegreen.data.work import nobody_listens
from bluegreen.errors import BluegreenError
from bluegreen.migrations.commands import Commands
from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import Release, Slot
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store.store import Store


@dataclass(frozen=True, kw_only=True)
class Pending:
    """``names`` None: not known yet. ``says`` is how it is known, or where it will be."""

    names: tuple[str, ...] | None
    says: str


LIMIT = 60.0  # seconds to ask for them: a plan is waited for
FEW = 512 * 2**20  # bytes that are copied though it may be for nothing
LATER = Pending(names=None, says="found out in the rehearsal, before anything is touched")


async def pending_of(
    app: AppRuntime, release: Release | None, version: str, slot: Slot, scratch: Path
) -> Pending | None:
    """None where the app has no migrations that a deploy would run. Changes nothing.

    Asked in a throw-away checkout on a copy of the data; else, and where build steps are missing in
    it and it names none, what the latest rehearsal of the version has found.
    """
    section = app.settings.migrations
    if section is None or not section.runs:
        return None
    if section.check is None:
        return Pending(names=None, says="not known: [migrations] has no check")
    # Whatever is in the way, its time too: then it is told by what is known.
    with contextlib.suppress(BluegreenError, OSError):
        async with asyncio.timeout(LIMIT):
            if release is not None and await _can_be_asked(app):
                names = await _asked(app, await app.source.resolve(version), slot, scratch)
                if not app.settings.build:
                    return Pending(names=names, says="asked on a copy of the data")
                if names:  # that there are none may be as nothing is built
                    return Pending(names=names, says="asked on a copy of the data, before a build")
    return await rehearsed(app.parts.store, app.name, version)


async def rehearsed(store: Store, app: str, version: str) -> Pending:
    """What the latest rehearsal of ``version`` has found, and is not applied since."""
    known = await store.latest_rehearsal(app, version)
    if known is None:
        return LATER
    operation, found = known
    changed = await store.migrations.latest(app)
    undone = {one.name for one in changed if one.change is MigrationChange.ROLLED_BACK}
    since = [one.name for one in changed if one.name in undone and one.operation > operation]
    if unsaid := [name for name in since if name not in found]:
        # It was applied by then: whether the version has it, nobody has asked.
        return Pending(
            names=None,
            says=f"not known: since the rehearsal of operation {operation}, {', '.join(unsaid)} "
            f"{'was' if len(unsaid) == 1 else 'were'} rolled back; {LATER.says}",
        )
    applied = {one.name for one in changed} - undone
    left = tuple(name for name in found if name not in applied)
    return Pending(names=left, says=f"as the rehearsal of operation {operation} has found")


async def _can_be_asked(app: AppRuntime) -> bool:
    """Whether the data can be copied, and are few where the answer may need a build."""
    backup = app.settings.backup
    if backup is None or backup.postgres or backup.command:
        return False
    return not app.settings.build or (await app.backups.room()).data <= FEW


async def _asked(
    app: AppRuntime, release: Release, slot: Slot, scratch: Path
) -> tuple[str, ...] | None:
    async with app.trees.for_a_look(app.source, release) as tree:
        rehearsal = RehearsalPlace(tree)
        await app.backups.begin_rehearsal(rehearsal, scratch / "copy.log", nobody_listens)
        commands = Commands(
            settings=app.settings,
            layout=replace(app.layout, data=rehearsal.data),
            jobs=app.parts.supervisor,
            place=MigrationPlace(version=release.version, slot=slot, tree=tree),
            operation=0,
            phase=scratch.name,
            logs=scratch,
            live=app.layout.shared,
        )
        return await commands.pending()
