"""Copies of an app's data on which a plan asks, and what is left of copies."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

from bluegreen.data.backups import RehearsalPlace
from bluegreen.data.work import nobody_listens
from bluegreen.errors import BluegreenError
from bluegreen.operations.runtime import AppRuntime
from bluegreen.processes import uninterrupted

log = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def copied_for_a_look(app: AppRuntime, tree: Path, said: Path) -> AsyncIterator[Path]:
    """A copy of the data, to which the links of ``tree`` lead, which is gone with its copies.

    The file ``said`` gets the output. Raises DataError.
    """
    place, backups = RehearsalPlace(tree), app.backups
    try:
        await backups.begin_rehearsal(place, said, nobody_listens)
        yield place.data
    finally:
        dropping = backups.drop_copies(place, said)
        await uninterrupted(dropping, name=f"remove the copies of {app.name} for a plan")


async def forgotten_copies(apps: Iterable[AppRuntime]) -> list[tuple[AppRuntime, RehearsalPlace]]:
    """Those that may be there of earlier daemons: asked before this one has any made."""
    return [(app, place) for app in apps for place in await _left(app)]


async def end_forgotten_copies(forgotten: Iterable[tuple[AppRuntime, RehearsalPlace]]) -> None:
    """Have them removed; what cannot be now, the next rehearsal tries again."""
    for app, place in forgotten:
        async with app.looking.get(place.tree.name) or contextlib.nullcontext():
            await _end(app, place)


async def end_copies_left(app: AppRuntime) -> None:
    """The same of earlier operations, by the one that runs, before it has its own made.

    A plan may be at work beside it: its own are removed by it, or in place of them the next one's.
    """
    for place in await _left(app):
        if place.tree.name not in app.looking:
            await _end(app, place)


async def _left(app: AppRuntime) -> list[RehearsalPlace]:
    try:
        return await app.backups.copies_left()
    except BluegreenError as error:
        log.warning("%s", "; ".join(error.lines()), extra={"app": app.name})
        return []


async def _end(app: AppRuntime, place: RehearsalPlace) -> None:
    try:
        async with app.backups.programs.kept_nowhere() as said:
            await app.backups.drop_copies(place, said)
    except BluegreenError as error:
        log.warning("%s", "; ".join(error.lines()), extra={"app": app.name})
