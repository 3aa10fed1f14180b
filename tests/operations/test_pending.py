"""What the latest rehearsal of a version says of the migrations that are pending by now."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import (
    Lane,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Requester,
    Slot,
)
from bluegreen.operations.pending import LATER, rehearsed
from bluegreen.store import Store

PLACE = MigrationPlace(version="v1.1", slot=Slot.GREEN, tree=Path("/trees/1-green"))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    opened = await Store.open(tmp_path / "store.db")
    yield opened
    await opened.close()


async def deploy(store: Store, version: str, pending: Sequence[str]) -> int:
    """Rehearse and apply ``pending``."""
    number = await begun(store, OperationKind.DEPLOY, version)
    await store.record_phase(number, PhaseName.REHEARSE, PhaseState.INTENT)
    await store.record_phase(
        number, PhaseName.REHEARSE, PhaseState.DONE, {"pending": list(pending)}
    )
    await store.migrations.record(number, pending, MigrationChange.APPLIED, PLACE)
    await store.finish_operation(number, OperationState.SUCCEEDED)
    return number


async def roll_back(store: Store, names: Sequence[str]) -> None:
    number = await begun(store, OperationKind.ROLLBACK, "v1.0")
    await store.migrations.record(number, names, MigrationChange.ROLLED_BACK, PLACE)
    await store.finish_operation(number, OperationState.SUCCEEDED)


async def begun(store: Store, kind: OperationKind, version: str) -> int:
    operation = await store.create_operation(
        app="notes", kind=kind, lane=Lane.RELEASE, version=version, slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=Requester(name="test", via="test"),
    )  # fmt: skip
    return operation.id


async def test_what_was_rolled_back_since_the_rehearsal_is_not_said_to_be_applied(
    store: Store,
) -> None:
    assert await rehearsed(store, "notes", "v1.2") == LATER
    await deploy(store, "v1.1", ["0001_at"])
    number = await deploy(store, "v1.2", [])
    assert (await rehearsed(store, "notes", "v1.2")).names == ()
    assert (await rehearsed(store, "notes", "v1.1")).names == ()
    await roll_back(store, ["0001_at"])
    found = await rehearsed(store, "notes", "v1.2")
    assert found.names is None
    assert found.says == (
        f"not known: since the rehearsal of operation {number}, 0001_at was rolled back; "
        "found out in the rehearsal, before anything is touched"
    )
    assert (await rehearsed(store, "notes", "v1.1")).names == ("0001_at",)
    await deploy(store, "v1.2", ["0001_at"])
    assert (await rehearsed(store, "notes", "v1.2")).names == ()
