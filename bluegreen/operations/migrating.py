"""What phases that are about the app's migrations have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from bluegreen.data.schema import Schema, differences
from bluegreen.errors import MigrationError
from bluegreen.migrations.commands import Commands
from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import PhaseName, Slot
from bluegreen.operations.run import Migrating, Run

T = TypeVar("T")


def place_of(run: Run) -> MigrationPlace:
    """Where the operation's migrations are run: in the release's own tree."""
    if run.migrating.place is None:
        if run.tree is None:
            raise RuntimeError("migrations before fetch")
        version = run.release.version if run.release is not None else run.operation.version
        run.migrating.place = MigrationPlace(version=version or "", slot=run.target, tree=run.tree)
    return run.migrating.place


def commands_of(run: Run, phase: PhaseName, copy: Path | None = None) -> Commands:
    """The app's commands, on the real data or on the ``copy`` of a rehearsal."""
    layout = run.app.layout
    return Commands(
        settings=run.app.settings,
        layout=layout if copy is None else replace(layout, data=copy),
        jobs=run.app.parts.supervisor,
        place=place_of(run),
        operation=run.operation.id,
        phase=phase,
        logs=run.logs,
        live=None if copy is None else layout.shared,
    )


def to_data(known: Migrating) -> dict[str, Any]:
    """What a daemon that comes after a crash has to know."""
    place = known.place
    return {
        "place": None
        if place is None
        else {"version": place.version, "slot": place.slot, "tree": str(place.tree)},
        "pending": None if known.pending is None else list(known.pending),
        "schema": known.schema,
        "backup": known.backup,
        "rehearsed_seconds": known.rehearsed_seconds,
    }


def from_data(data: Mapping[str, Any]) -> Migrating:
    place = data["place"]
    return Migrating(
        place=None
        if place is None
        else MigrationPlace(
            version=place["version"], slot=Slot(place["slot"]), tree=Path(place["tree"])
        ),
        pending=None if data["pending"] is None else tuple(data["pending"]),
        schema=data["schema"],
        backup=data["backup"],
        rehearsed_seconds=data.get("rehearsed_seconds"),
    )


async def record_applied(run: Run, still: tuple[str, ...] | None) -> list[str]:
    """Record, by name, what is not pending any more; returns these names in their order."""
    known = run.migrating
    if known.pending is None or still is None:
        return []
    names = [name for name in known.pending if name not in still]
    await run.app.parts.store.migrations.record(
        run.operation.id, names, MigrationChange.APPLIED, place_of(run)
    )
    return names


async def record_what_started(run: Run) -> list[str]:
    """Of an app that migrates as it starts, alone: the names of what it has applied.

    Recorded, as what comes back has to undo it by name or know that it cannot. Raises
    MigrationError where ``check`` still calls migrations pending.
    """
    section, known = run.app.settings.migrations, run.migrating
    if section is None or section.run is not None or not run.is_alone:
        return []
    if not known.pending:
        return []
    still = await commands_of(run, PhaseName.GATE).pending()
    applied = await record_applied(run, still)
    if still:
        raise MigrationError(
            f"{run.app.name}: the release has come up, and check still calls migrations pending",
            detail=still,
            remedy=f"correct the release. The whole output: bluegreen logs {run.app.name} "
            f"{run.operation.id} --phase {PhaseName.GATE}",
        )
    for name in applied:
        await run.say(f"applied: {name}")
    return applied


async def schema_changes(run: Run) -> list[str]:
    """In what the schema of the real data differs from what it was before the migrations."""
    if run.migrating.schema is None:
        return []
    now: Schema = await run.app.backups.schema()
    return differences(run.migrating.schema, now)


def way_back(run: Run, *, closed: bool = False) -> str:
    """How to get the data of before, in words; ``closed``: the app is out of service by then."""
    app, backup = run.app.name, run.migrating.backup
    if backup is None:
        return f"look at the data yourself; bluegreen migrations check {app} lists what is pending"
    stop = "" if closed else f"bluegreen stop {app}, then "
    return (
        f"the data of before are backup {backup}: {stop}bluegreen backup restore {app} {backup} "
        f"(it says what has been written since), then bluegreen start {app}"
    )


async def to_its_end(work: Coroutine[Any, Any, T], *, name: str) -> T:
    """Await ``work``; cancelled once, its end is awaited first: half a migration is worse.

    Cancelled once more, the work is cancelled too: the daemon has to go.
    """
    task = asyncio.create_task(work, name=name)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # what it says of the migration is found out again by the undo
        raise
