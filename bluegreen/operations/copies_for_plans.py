"""Copies of an app's data on which a plan asks, and what a killed daemon has left of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
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


async def end_forgotten_copies(apps: Iterable[AppRuntime]) -> None:
    """Remove what plans of an earlier daemon, which was killed, have had copied to servers."""
    for app in apps:
        for name, looking in app.looking.items():
            place = RehearsalPlace(app.layout.trees / name)
            async with looking:
                if not await asyncio.to_thread(os.path.lexists, place.directory):
                    continue
                try:
                    async with app.backups.programs.kept_nowhere() as said:
                        await app.backups.drop_copies(place, said)
                except BluegreenError as error:
                    log.warning("%s", "; ".join(error.lines()), extra={"app": app.name})
