"""What may be done to an app's migrations by hand, and in which release's tree."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from enum import StrEnum

from bluegreen.config.migrations_section import Migrations
from bluegreen.errors import MigrationError, NotFoundError, RefusedError
from bluegreen.migrations.names import check_name
from bluegreen.migrations.nouns import AppliedMigration, MigrationPlace
from bluegreen.model import Operation, OperationKind
from bluegreen.operations.runtime import AppRuntime


class Action(StrEnum):
    """What is done; the words of the command line."""

    CHECK = "check"
    RUN = "run"
    ROLLBACK = "rollback"
    MARK_APPLIED = "mark-applied"


@dataclass(frozen=True, kw_only=True)
class ByHand:
    """One request. ``name`` is there for a rollback and a mark."""

    action: Action
    name: str | None = None

    def __str__(self) -> str:
        """``rollback 0007_owner``: what an operation has as its version."""
        return " ".join(filter(None, (self.action, self.name)))

    @classmethod
    def parse(cls, text: str | None) -> ByHand:
        action, _, name = (text or "").partition(" ")
        return cls(action=Action(action), name=name or None)


def is_rollback(operation: Operation) -> bool:
    """Whether it undoes a migration by hand."""
    by_hand = operation.kind is OperationKind.MIGRATE
    return by_hand and ByHand.parse(operation.version).action is Action.ROLLBACK


async def asked(app: AppRuntime, action: Action, name: str | None) -> ByHand:
    """The request with the name that is meant, if it can be done. Raises RefusedError, UsageError.

    A rollback without a name is that of what was applied last.
    """
    section = _section(app)
    scripts = {
        Action.CHECK: section.check, Action.RUN: section.run,
        Action.ROLLBACK: section.rollback, Action.MARK_APPLIED: section.mark_applied,
    }  # fmt: skip
    if scripts[action] is None:
        key = action.replace("-", "_")
        raise RefusedError(
            f"{app.name}: its app file does not say how: [migrations] has no {key}",
            remedy=f"add {key} to [migrations] in {app.parts.layout.app_files / app.name}.toml, "
            f"then: {app.parts.layout.remedies.take_up}",
        )
    if name is not None:
        check_name(name)
    if action is Action.ROLLBACK:
        name = (await _to_undo(app, name)).name
    return ByHand(action=action, name=name)


def _section(app: AppRuntime) -> Migrations:
    return app.settings.migrations or Migrations(mode="none")


async def _to_undo(app: AppRuntime, name: str | None) -> AppliedMigration:
    """The migration of that name, or the newest. Raises NotFoundError, RefusedError."""
    applied = await app.parts.store.migrations.applied(app.name)
    names = [one.name for one in applied]
    if not applied or (name is not None and name not in names):
        known = ", ".join(names) or "none"
        raise NotFoundError(
            f"{app.name}: no release is known to have applied "
            + (name if name is not None else "a migration"),
            remedy=f"known to be applied: {known}; another is made known by bluegreen migrations "
            f"mark-applied {app.name} NAME, if it is applied",
        )
    if name is not None and names[-1] != name:
        newer = names[names.index(name) + 1 :]
        raise RefusedError(
            f"{app.name}: {', '.join(newer)} came after {name}: the newest is undone first",
            remedy=f"bluegreen migrations rollback {app.name} {newer[-1]}",
        )
    return applied[-1]


async def place_for(app: AppRuntime, request: ByHand) -> MigrationPlace:
    """The tree in which it is done. Raises MigrationError, RefusedError.

    A rollback in that of the release that applied it, as an older one knows nothing of it; where
    that is gone, in that of the latest release after it.
    """
    slots = sorted(
        (held for held in app.slots.values() if held.tree is not None),
        key=lambda held: held.operation or 0, reverse=True,
    )  # fmt: skip
    applied = {one.name: one for one in await app.parts.store.migrations.applied(app.name)}
    if request.action is Action.ROLLBACK and (found := applied.get(request.name or "")):
        if await asyncio.to_thread(found.place.tree.is_dir):
            return found.place
        slots = [held for held in slots if (held.operation or 0) > found.operation]
    else:
        slots = [held for held in slots if held.slot is app.active]
    for held in slots:
        if held.tree is not None:
            return MigrationPlace(version=held.version or "", slot=held.slot, tree=held.tree)
    if request.action is Action.ROLLBACK:
        version = applied[request.name].place.version if request.name in applied else "the release"
        raise MigrationError(
            f"{app.name}: no tree is left of {version}, which applied {request.name}, nor of a "
            "later release",
            remedy=f"deploy it again, then repeat this: bluegreen deploy {app.name} {version}",
        )
    raise RefusedError(
        f"{app.name} has never been deployed",
        remedy=f"deploy a version: bluegreen deploy {app.name} VERSION",
    )
