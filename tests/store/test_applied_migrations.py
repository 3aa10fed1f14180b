"""Which migrations are applied, by which release."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bluegreen.errors import IllegalTransitionError
from bluegreen.migrations.nouns import MigrationChange, MigrationPlace
from bluegreen.model import Lane, OperationKind, OperationState, Release, Requester, Slot
from bluegreen.store.store import Store

PLACE = MigrationPlace(version="v2", slot=Slot.GREEN, tree=Path("/trees/1-green"))


async def begun(store: Store) -> int:
    operation = await store.create_operation(
        app="shop", kind=OperationKind.DEPLOY, lane=Lane.RELEASE, version="v2", slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=Requester(name="test", via="test"),
    )  # fmt: skip
    return operation.id


async def names(store: Store) -> list[str]:
    return [one.name for one in await store.migrations.applied("shop")]


async def test_the_latest_word_about_a_name_counts(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "store.db")
    first = await begun(store)
    for _ in range(2):  # recorded again after a crash
        await store.migrations.record(first, ["a", "b"], MigrationChange.APPLIED, PLACE)
    assert await names(store) == ["a", "b"]
    await store.finish_operation(first, OperationState.FAILED)
    found = (await store.migrations.applied("shop"))[1]
    assert (found.operation, found.place, found.succeeded) == (first, PLACE, False)
    second = await begun(store)
    await store.migrations.record(second, ["b"], MigrationChange.ROLLED_BACK, PLACE)
    assert await names(store) == ["a"]
    await store.migrations.record(second, ["b"], MigrationChange.MARKED, PLACE)
    assert await names(store) == ["a", "b"]
    assert await store.migrations.of_operation(first) == {
        ("a", MigrationChange.APPLIED), ("b", MigrationChange.APPLIED),
    }  # fmt: skip
    await store.close()


async def test_a_migration_is_of_the_commit_that_its_tree_was_built_from(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "store.db")
    first = await begun(store)
    release = Release(app="shop", version="main", commit="c1", origin="x")
    await store.resolve_release(first, release, Slot.GREEN)
    await store.finish_operation(first, OperationState.SUCCEEDED)
    second = await begun(store)
    for name, tree in (("a", "/trees/1-green"), ("b", "/trees/2-blue"), ("c", "/elsewhere")):
        place = MigrationPlace(version="main", slot=Slot.GREEN, tree=Path(tree))
        await store.migrations.record(second, [name], MigrationChange.APPLIED, place)
    for found in (
        await store.migrations.applied("shop"), await store.migrations.latest("shop"),
    ):  # fmt: skip
        assert [(one.name, one.commit) for one in found] == [("a", "c1"), ("b", None), ("c", None)]
    await store.close()


async def test_nothing_is_recorded_of_an_operation_that_has_ended(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "store.db")
    number = await begun(store)
    await store.finish_operation(number, OperationState.SUCCEEDED)
    with pytest.raises(IllegalTransitionError):
        await store.migrations.record(number, ["a"], MigrationChange.APPLIED, PLACE)
    await store.close()


async def test_what_is_recorded_stays(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "store.db")
    await store.migrations.record(await begun(store), ["a"], MigrationChange.APPLIED, PLACE)
    await store.close()
    with closing(sqlite3.connect(tmp_path / "store.db")) as connection:
        for statement in ("DELETE FROM migrations", "UPDATE migrations SET name = 'x'"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                connection.execute(statement)
