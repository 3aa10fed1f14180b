"""Which migrations a release that is not deployed yet would find pending, as far as is known."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

from bluegreen.config.copies import why_uncopied
from bluegreen.errors import BluegreenError, BuildError, MigrationError
from bluegreen.migrations.commands import Commands
from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import Release, Slot
from bluegreen.operations.copies import copied_for_a_look
from bluegreen.operations.phases.build import WAIT_LIMIT
from bluegreen.operations.runtime import AppRuntime
from bluegreen.slots.trees import OnStep
from bluegreen.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Pending:
    """``names`` None: not known yet. ``says`` is how it is known, or where it will be.

    ``refusal`` is what a deploy would fail with, found out by asking.
    """

    names: tuple[str, ...] | None
    says: str
    refusal: BluegreenError | None = None


LIMIT = 60.0  # seconds to ask for them: a plan is waited for
FEW = 512 * 2**20  # bytes that are copied though it may be for nothing
LATER = Pending(names=None, says="found out in the rehearsal, before anything is touched")
NOT_REHEARSED = Pending(names=None, says="asked in the deploy, before anything is migrated")


@dataclass(frozen=True, kw_only=True)
class Question:
    """The release that is asked: ``release`` None where the source does not give it."""

    release: Release | None
    version: str
    slot: Slot
    scratch: Path


async def pending_of(app: AppRuntime, of: Question) -> Pending | None:
    """None where the app has no migrations that a deploy would bring. Changes nothing.

    Asked in a throw-away checkout on a copy of the data; else, and where build steps are missing in
    it and it names none, what the latest rehearsal of the version has found.
    """
    section = app.settings.migrations
    if section is None or section.mode == "none":
        return None
    if section.check is None:
        return Pending(names=None, says="not known: [migrations] has no check")
    if (why := why_uncopied(app.settings)) is not None:
        return _not_copied(why)
    found = await _in_time(app, of)
    if isinstance(found, Pending):
        return found
    known = await rehearsed(app.parts.store, app.name, of.version)
    if known is LATER and not section.rehearses:
        known = NOT_REHEARSED
    if found is not None:
        known = replace(known, says=f"{known.says}; it could not be asked now: {found}")
    if known.names is None and app.settings.build:
        by = f"bluegreen plan {app.name} {of.version} --build"
        return replace(known, says=f"{known.says}; now, by a build that is thrown away: {by}")
    return known


async def pending_when_built(app: AppRuntime, of: Question) -> Pending | None:
    """As `pending_of`, in a checkout that is built as a deploy builds it, on a copy of the data.

    It takes one of the host's places for builds, waiting for one as a deploy does.
    """
    section = app.settings.migrations
    if section is None or why_unbuilt(app) or of.release is None or not app.settings.build:
        return await pending_of(app, of)
    if (why := why_uncopied(app.settings)) is not None:
        return _not_copied(why)
    steps = sum(step.timeout for step in app.settings.build)
    limit = app.settings.copying_time + steps + section.timeout + WAIT_LIMIT + LIMIT
    try:
        async with asyncio.timeout(limit):
            names = await _asked(app, of, build=True)
    except BuildError as error:  # a deploy would fail with the same
        return Pending(names=None, says=f"not known: {error.message}", refusal=error)
    except MigrationError as error:
        return _not_answered(app, error)
    except BluegreenError as error:
        return Pending(names=None, says=f"not known: {error.message}; {error.remedy}")
    except TimeoutError:
        says = f"not known: {of.version} was not built in time; plan again when less is done"
        return Pending(names=None, says=says)
    except OSError as error:  # of the throw-away checkout: a deploy has another one
        why = error.strerror or str(error)
        return Pending(names=None, says=f"not known: {of.version} could not be built aside: {why}")
    return Pending(names=names, says="asked on a copy of the data, in a build of it")


def _not_answered(app: AppRuntime, error: MigrationError) -> Pending:
    """Of a `check` that has failed on the copy, as it would in a rehearsal."""
    section = app.settings.migrations
    refusal = error if section is not None and section.rehearses else None
    return Pending(names=None, says=f"not known: {error.message}", refusal=refusal)


def why_unbuilt(app: AppRuntime) -> str | None:
    """Why a build for a plan would answer nothing, for the person who has asked for one."""
    section = app.settings.migrations
    if section is not None and section.mode != "none" and section.check is not None:
        return None
    return (
        "nothing was built: --build is to ask `check` of [migrations], which the app file does not "
        "have; whether the version can be built shows in its deploy"
    )


@contextlib.asynccontextmanager
async def _place_for_builds(app: AppRuntime) -> AsyncIterator[None]:
    async with asyncio.timeout(WAIT_LIMIT):
        await app.parts.builds.acquire()
    try:
        yield
    finally:
        app.parts.builds.release()


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


def _not_copied(why: str) -> Pending:
    return replace(NOT_REHEARSED, says=f"{NOT_REHEARSED.says}: {why}")


async def _in_time(app: AppRuntime, of: Question) -> Pending | str | None:
    """As `_asked_unbuilt`, while a plan is waited for; a text says what is in the way."""
    try:
        async with asyncio.timeout(LIMIT):
            return await _asked_unbuilt(app, of)
    except MigrationError as error:  # which may be as nothing is built
        return None if app.settings.build else _not_answered(app, error)
    except BluegreenError as error:
        return f"{error.message}; {error.remedy}"
    except TimeoutError:
        return f"there was no answer within {LIMIT:g} s"
    except OSError as error:
        return error.strerror or str(error)


async def _asked_unbuilt(app: AppRuntime, of: Question) -> Pending | None:
    """Asked in what is laid out and not built; None where that tells nothing, or takes too much.

    Raises BluegreenError and OSError.
    """
    if of.release is None or not await _are_few(app):
        return None
    names = await _asked(app, of, build=False)
    if not app.settings.build:
        return Pending(names=names, says="asked on a copy of the data")
    # That there are none may be as nothing is built.
    says = "asked on a copy of the data, before a build"
    return Pending(names=names, says=says) if names else None


async def _are_few(app: AppRuntime) -> bool:
    """Whether the data are, where the answer may need a build, and those of a server in any case.

    A server that serves others too has no copy made of much that nobody has asked for. Of what a
    command gives, its latest backup says how much that is.
    """
    backup, servers = app.settings.backup, await app.backups.bytes_in_servers()
    gives = backup is not None and backup.command is not None
    if not gives and not app.settings.build:
        return servers <= FEW  # without a look at files, of which there may be very many
    room = await app.backups.room()
    if servers + (room.backup if gives else 0) > FEW:
        return False
    return not app.settings.build or room.data <= FEW


async def _asked(app: AppRuntime, of: Question, *, build: bool) -> tuple[str, ...] | None:
    release = await app.source.resolve(of.version)
    async with (
        app.trees.for_a_look(app.source, release, build=build) as tree,
        # Not while another plan of this app has the tree.
        _place_for_builds(app) if build else contextlib.nullcontext(),
        # Before it is built: so that not even a build step meets the real data.
        copied_for_a_look(app, tree, of.scratch / "copy.log") as data,
    ):
        if build:
            await app.trees.build_for_a_look(
                release, tree, of.slot, data=data, logs=of.scratch,
                on_step=_telling(app.name, release),
            )  # fmt: skip
        commands = Commands(
            settings=app.settings,
            layout=replace(app.layout, data=data),
            jobs=app.parts.supervisor,
            place=MigrationPlace(version=release.version, slot=of.slot, tree=tree),
            operation=0,
            phase=of.scratch.name,
            logs=of.scratch,
            live=app.layout.shared,
        )
        return await commands.pending()


def _telling(app: str, release: Release) -> OnStep:
    async def on_step(step: str, state: str) -> None:
        what = f"build step {step} of {release.label}, for a plan: {state}"
        log.info("%s: %s", app, what, extra={"app": app})

    return on_step
