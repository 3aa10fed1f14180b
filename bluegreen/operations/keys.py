"""Idempotency keys: a request that comes again begins nothing anew."""

from __future__ import annotations

from bluegreen.model import Operation, OperationKind, Slot
from bluegreen.operations.runtime import AppRuntime
from bluegreen.store.failures import DuplicateKeyError


async def begun_with(
    key: str | None,
    app: AppRuntime,
    kind: OperationKind,
    *,
    version: str | None = None,
    slot: Slot | None = None,
    acknowledged: tuple[str, ...] = (),
    manual: bool = False,
    forced: bool = False,
    backup: int | None = None,
) -> Operation | None:
    """The operation that an equal request with ``key`` has begun, if any.

    ``version`` and ``slot`` are those that were asked for; None: not named. A rollback that a
    switch had to become is found by that switch. Raises
    DuplicateKeyError where the key began one of another kind, version, slot, acknowledgement,
    wish for a person, force or backup.
    """
    if key is None:
        return None
    known = await app.parts.store.by_idempotency_key(app.name, key)
    if known is None:
        return None
    began = OperationKind.SWITCH if known.of_switch else known.kind
    asked = (
        kind, version or known.version, slot or known.slot, acknowledged, manual, forced, backup,
    )  # fmt: skip
    if asked != (
        began, known.version, known.slot, known.acknowledged, known.manual, known.forced,
        known.backup,
    ):  # fmt: skip
        raise DuplicateKeyError(app.name, key, known.id)
    return known
