"""What a rollback may lead to: the versions that have served, and what of the schema it undoes."""

from __future__ import annotations

from dataclasses import dataclass

from bluegreen.model import Operation, OperationKind, OperationState
from bluegreen.operations.reversing import came_after
from bluegreen.operations.runtime import AppRuntime

LOOKED_AT = 200  # operations, the newest
MOST = 12  # versions, which a person reads through
_BRINGS = frozenset({OperationKind.DEPLOY, OperationKind.ROLLBACK})


@dataclass(frozen=True, kw_only=True)
class Older:
    """A version that came into service ``at`` a Unix time; ``undoes`` are migrations, by name."""

    version: str
    at: float
    undoes: tuple[str, ...]


async def older_releases(app: AppRuntime) -> list[Older]:
    """Those of the history but for what serves; first where a rollback leads by itself."""
    store = app.parts.store
    serving = None if app.active is None else app.slots[app.active].version
    before = await store.served_before(app.name, serving)
    came: dict[str, Operation] = {}
    for one in await store.operations(app.name, limit=LOOKED_AT):
        succeeded = one.kind in _BRINGS and one.state is OperationState.SUCCEEDED
        if succeeded and one.version is not None and one.version != serving:
            came.setdefault(one.version, one)
    found = sorted(came, key=lambda version: version != before)[:MOST]
    return [
        Older(
            version=version, at=came[version].finished_at or came[version].created_at,
            undoes=tuple(one.name for one in await came_after(app, version)),
        )
        for version in found
    ]  # fmt: skip
