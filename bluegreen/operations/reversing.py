"""Which migrations came after an older release, and whether they can be rolled back by name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bluegreen.data.manifest import Manifest
from bluegreen.errors import BluegreenError, PreflightError
from bluegreen.migrations.nouns import AppliedMigration, MigrationPlace
from bluegreen.model import Release, Slot
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.unnamed import unnamed_change


async def came_after(
    app: AppRuntime, version: str, commit: str | None = None
) -> list[AppliedMigration]:
    """What releases later than ``version`` have applied and is so still, the newest first.

    Later than its latest deploy: what traffic did since, back and forth, changes no schema. Of a
    version that never served nothing is known. ``commit`` is the one of a version that is meant;
    None: the latest that was deployed.
    """
    section = app.settings.migrations
    if section is None or section.mode == "none":
        return []
    store = app.parts.store
    since = await store.came_with(app.name, version, commit)
    if since is None:
        return []
    own = commit or (await store.operation(since)).commit
    applied = await store.migrations.applied(app.name)
    later = [one for one in applied if one.operation > since and not one.is_of(version, own)]
    return later[::-1]


async def outlived(app: AppRuntime, release: Release) -> list[PreflightError]:
    """Why a deploy of ``release`` would bring it up on a schema that it cannot live with.

    It has served before, and with mode "hold" nothing lives with what came after it. Its own
    ``check`` calls a newer schema clean, so that a deploy would neither hold nor undo anything.
    """
    section = app.settings.migrations
    if section is None or section.mode != "hold" or release.commit is None:
        return []
    came = await came_after(app, release.version, release.commit)
    if not came:
        return []
    to = f"bluegreen rollback {app.name} --to {release.version}"
    by_name = f"go back to it, which undoes that by name: {to}"
    return [
        PreflightError(
            f"{app.name}: {', '.join(one.name for one in came)} came after {release.label}, which "
            "cannot live with that, and a deploy undoes nothing",
            remedy=by_name if section.rollback is not None else await way_left(app, came),
        )
    ]


async def place_of_reversal(
    app: AppRuntime, one: AppliedMigration, newer: Slot | None
) -> MigrationPlace | None:
    """The tree of the release that applied it or, where that is gone, of the ``newer`` slot's.

    What comes after a release knows its migrations too. None: no such tree is left.
    """
    if await asyncio.to_thread(one.place.tree.is_dir):
        return one.place
    held = None if newer is None else app.slots[newer]
    if held is None or held.tree is None or (held.operation or 0) <= one.operation:
        return None
    return MigrationPlace(version=held.version or "", slot=held.slot, tree=held.tree)


async def unmet_reversal(
    app: AppRuntime, version: str, commit: str | None, newer: Slot | None
) -> list[PreflightError]:
    """Why what came after ``version`` could not be rolled back, with the way that is left."""
    came = await came_after(app, version, commit)
    if not came:
        return await _unnamed(app, version, commit)
    names = ", ".join(one.name for one in came)
    section = app.settings.migrations
    if section is None or section.rollback is None:
        return [
            PreflightError(
                f"{app.name}: {names} came after {version}, and [migrations] has no rollback",
                remedy=f"{await way_left(app, came)}; or add rollback to [migrations]",
            )
        ]
    places = {one.name: await place_of_reversal(app, one, newer) for one in came}
    lost = [name for name, place in places.items() if place is None]
    if lost:
        return [
            PreflightError(
                f"{app.name}: {', '.join(lost)} came after {version}, and no tree is left that "
                "could roll that back",
                remedy=await way_left(app, came),
            )
        ]
    return []


async def _unnamed(app: AppRuntime, version: str, commit: str | None) -> list[PreflightError]:
    """Why an older release could not live with what came after it, where that has no names."""
    since = await app.parts.store.came_with(app.name, version, commit)
    change = await unnamed_change(app)
    if since is None or change is None or change.operation <= since:
        return []
    return [
        PreflightError(
            f"{app.name}: {change.name} came after {version}, and has no names that it could be "
            "rolled back by, as [migrations] has no check",
            remedy=await way_left(app, [change]),
        )
    ]


async def way_left(app: AppRuntime, came: Sequence[AppliedMigration]) -> str:
    """How data and release get back where migrations cannot be undone by name."""
    oldest = came[-1]
    made = await backup_of_before(app, oldest.operation, oldest.at)
    if made is None:
        return (
            f"bring an older backup back with its release: bluegreen backup list {app.name}, then: "
            f"bluegreen rollback {app.name} --restore BACKUP (it says what would be lost)"
        )
    return (
        f"bring the data of before back with their release: bluegreen rollback {app.name} "
        f"--restore {made.id} (it says what would be lost)"
    )


async def backup_of_before(app: AppRuntime, number: int, applied: float) -> Manifest | None:
    """The backup ``number``, made before a migration was ``applied`` (Unix seconds).

    Its number is that of the operation that applied it. None: it is not there, not whole, as far as
    its manifest tells, or later than that.
    """
    try:
        made = await app.backups.require_restorable(number)
    except BluegreenError:
        return None
    return made if made.created_at <= applied else None
