"""Operations and their phases as the store keeps them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.errors import BusyError, IllegalTransitionError, NotFoundError, StoreError
from bluegreen.model import (
    Lane,
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    PhaseName,
    PhaseState,
    Release,
    Slot,
    SlotRecord,
    SlotState,
)
from bluegreen.store import DuplicateKeyError, Store
from bluegreen.store.operations import busy_error
from tests.store.rows import ALICE, assert_nothing_is_half, deploy, opened, switch

V2 = Release(app="shop", version="v2", commit="0a1b2c3d4e5f", origin="https://example.org/shop")


async def test_a_new_operation_is_running_and_holds_its_lane(store: Store) -> None:
    created = await deploy(store)
    assert created == Operation(
        id=1, app="shop", kind=OperationKind.DEPLOY, lane=Lane.RELEASE,
        state=OperationState.RUNNING, version="v2", commit=None, slot=Slot.GREEN,
        from_slot=Slot.BLUE, requested_by=ALICE, created_at=created.created_at,
    )  # fmt: skip
    assert await store.operation(1) == created
    assert await store.unfinished() == [created]
    with pytest.raises(BusyError):
        await deploy(store)
    await switch(store)
    await deploy(store, "blog")


async def test_what_is_created_is_what_is_read(store: Store) -> None:
    created = await store.create_operation(
        app="shop", kind=OperationKind.ROLLBACK, lane=Lane.RELEASE, version="v1",
        slot=Slot.GREEN, from_slot=Slot.BLUE, requested_by=ALICE, idempotency_key="k",
        data={"acknowledged": ["a"], "backup": 7, "forced": True},
    )  # fmt: skip
    assert (created.acknowledged, created.backup, created.forced) == (("a",), 7, True)
    assert await store.operation(created.id) == created


async def test_a_first_phase_is_recorded_with_the_operation(store: Store) -> None:
    operation = await switch(store, data={"from": Slot.GREEN})
    [intent] = await store.phases(operation.id)
    assert (intent.operation, intent.phase) == (operation.id, PhaseName.SWITCH)
    assert (intent.state, intent.data) == (PhaseState.INTENT, {"from": "green"})


async def test_a_second_operation_in_a_lane_is_told_who_holds_it(store: Store) -> None:
    first = await deploy(store)
    await store.record_phase(first.id, PhaseName.BUILD, PhaseState.INTENT)
    with pytest.raises(BusyError) as refusal:
        await deploy(store, version="v3")
    assert refusal.value.exit_status == 4
    assert refusal.value.message.startswith(
        "shop is busy: operation 1 (deploy v2, phase build) by uid 1000 (alice), since "
    )
    assert "`bluegreen logs shop 1 --follow`" in refusal.value.remedy
    assert "`bluegreen cancel shop`" in refusal.value.remedy
    assert await store.unfinished() == [first]


async def test_a_busy_error_tells_what_is_known(store: Store) -> None:
    operation = await switch(store)
    assert "operation 1 (switch to blue) by" in busy_error("shop", operation).message
    long_ago = Operation(**{**vars(operation), "created_at": 86400.0 * 365})
    assert ", since 1971-01-01 " in busy_error("shop", long_ago).message


async def test_lanes_and_apps_do_not_hold_each_other_up(store: Store) -> None:
    operations = [await deploy(store), await switch(store), await deploy(store, "blog")]
    assert await store.unfinished() == operations


@pytest.mark.parametrize("outcome", [state for state in OperationState if state.is_final])
async def test_an_outcome_is_kept_and_frees_the_lane(store: Store, outcome: OperationState) -> None:
    created = await deploy(store)
    good = outcome is OperationState.SUCCEEDED
    error = None if good else OperationError(
        kind="build", message="npm failed", remedy="fix it", detail=("line 1", "line 2")
    )  # fmt: skip
    finished = await store.finish_operation(created.id, outcome, error=error)
    assert (finished.state, finished.error) == (outcome, error)
    assert finished.finished_at is not None
    assert finished.finished_at >= finished.created_at
    assert await store.operation(created.id) == finished
    assert await store.unfinished() == []
    assert (await deploy(store)).id == created.id + 1


@pytest.mark.parametrize("outcome", [state for state in OperationState if state.is_final])
async def test_nothing_follows_an_outcome(
    store: Store, path: Path, outcome: OperationState
) -> None:
    operation = await deploy(store)
    finished = await store.finish_operation(operation.id, outcome)
    for state in OperationState:
        with pytest.raises(IllegalTransitionError):
            await store.finish_operation(operation.id, state)
    with pytest.raises(IllegalTransitionError):
        await store.record_phase(operation.id, PhaseName.BUILD, PhaseState.INTENT)
    with pytest.raises(IllegalTransitionError):
        await store.resolve_release(operation.id, V2)
    assert await store.operation(operation.id) == finished
    with opened(path) as connection:
        assert_nothing_is_half(connection)


async def test_the_last_phase_and_the_slots_are_recorded_with_the_outcome(store: Store) -> None:
    operation = await switch(store)
    hot = SlotRecord(
        app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1", gated_by=operation.id
    )
    cold = SlotRecord(app="shop", slot=Slot.GREEN, state=SlotState.COLD, version="v2")
    await store.finish_operation(
        operation.id,
        OperationState.SUCCEEDED,
        phase=(PhaseName.SWITCH, PhaseState.DONE, {"ms": 3}),
        slots=[hot, cold],
    )
    assert [(p.state, p.data) for p in await store.phases(operation.id)] == [
        (PhaseState.INTENT, {}),
        (PhaseState.DONE, {"ms": 3}),
    ]
    assert await store.slots("shop") == {Slot.BLUE: hot, Slot.GREEN: cold}


async def test_an_outcome_that_is_refused_takes_all_that_went_with_it_along(store: Store) -> None:
    operation = await switch(store)
    contradictory = SlotRecord(app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1")
    with pytest.raises(StoreError, match="hot_has_passed_its_gate"):
        await store.finish_operation(
            operation.id,
            OperationState.SUCCEEDED,
            phase=(PhaseName.SWITCH, PhaseState.DONE, {}),
            slots=[contradictory],
        )
    assert len(await store.phases(operation.id)) == 1
    assert await store.unfinished() == [operation]
    assert (await store.slots("shop"))[Slot.BLUE].state is SlotState.EMPTY


async def test_a_phase_step_out_of_order_is_refused(store: Store) -> None:
    operation = await deploy(store)
    with pytest.raises(IllegalTransitionError, match="phase gate of operation 1 is not begun"):
        await store.record_phase(operation.id, PhaseName.GATE, PhaseState.DONE)
    assert await store.phases(operation.id) == []


async def test_a_slot_is_recorded_with_the_phase_that_changes_it(store: Store) -> None:
    operation = await deploy(store)
    record = SlotRecord(
        app="shop", slot=Slot.GREEN, state=SlotState.COLD, version="v2", commit="0a1b",
        tree=Path("/srv/trees/1-green"), operation=operation.id,
    )  # fmt: skip
    await store.record_phase(operation.id, PhaseName.START, PhaseState.INTENT, slot=record)
    assert (await store.slots("shop"))[Slot.GREEN] == record
    with pytest.raises(IllegalTransitionError):
        await store.record_phase(
            operation.id, PhaseName.START, PhaseState.INTENT,
            slot=SlotRecord(app="shop", slot=Slot.GREEN),
        )  # fmt: skip
    assert (await store.slots("shop"))[Slot.GREEN] == record


async def test_a_release_is_resolved_once(store: Store) -> None:
    operation = await deploy(store, version="main")
    await store.resolve_release(operation.id, V2, Slot.BLUE)
    resolved = await store.operation(operation.id)
    assert (resolved.version, resolved.commit, resolved.slot) == ("v2", V2.commit, Slot.BLUE)
    with pytest.raises(IllegalTransitionError, match="already about v2"):
        await store.resolve_release(operation.id, V2)


async def test_a_release_without_a_slot_leaves_the_slot_as_it_was(store: Store) -> None:
    operation = await deploy(store)
    await store.resolve_release(operation.id, V2)
    assert (await store.operation(operation.id)).slot is Slot.GREEN


async def test_an_unknown_operation_is_not_found(store: Store) -> None:
    with pytest.raises(NotFoundError, match="no operation 9"):
        await store.operation(9)
    with pytest.raises(NotFoundError):
        await store.record_phase(9, PhaseName.BUILD, PhaseState.INTENT)
    with pytest.raises(NotFoundError):
        await store.finish_operation(9, OperationState.FAILED)
    with pytest.raises(NotFoundError):
        await store.resolve_release(9, V2)
    assert await store.phases(9) == []


async def test_an_idempotency_key_finds_its_operation(store: Store) -> None:
    first = await deploy(store, idempotency_key="k1")
    assert await store.by_idempotency_key("shop", "k1") == first
    assert await store.by_idempotency_key("blog", "k1") is None
    await store.finish_operation(first.id, OperationState.FAILED)
    with pytest.raises(DuplicateKeyError) as refusal:
        await deploy(store, idempotency_key="k1")
    assert refusal.value.operation == first.id
    assert (await deploy(store, "blog", idempotency_key="k1")).id == 2
    assert (await deploy(store, idempotency_key="k2")).id == 3


async def test_a_used_key_is_recognised_while_its_operation_holds_the_lane(store: Store) -> None:
    first = await deploy(store, idempotency_key="k1")
    with pytest.raises(DuplicateKeyError) as refusal:
        await deploy(store, idempotency_key="k1")
    assert refusal.value.operation == first.id


async def test_the_history_is_read_in_pages_newest_first(store: Store) -> None:
    for number in range(6):
        operation = await deploy(store, "shop" if number % 2 else "blog")
        await store.finish_operation(operation.id, OperationState.SUCCEEDED)
    assert [o.id for o in await store.operations(None)] == [6, 5, 4, 3, 2, 1]
    assert [o.id for o in await store.operations(None, before=5, limit=2)] == [4, 3]
    assert [o.id for o in await store.operations("shop")] == [6, 4, 2]
    assert [o.id for o in await store.operations("shop", before=6, limit=1)] == [4]
    assert await store.operations("other") == []


async def test_what_was_recorded_is_there_after_opening_again(path: Path) -> None:
    store = await Store.open(path)
    operation = await deploy(store)
    await store.record_phase(operation.id, PhaseName.FETCH, PhaseState.INTENT, {"ref": "v2"})
    phases = await store.phases(operation.id)
    await store.close()
    store = await Store.open(path)
    assert await store.unfinished() == [operation]
    assert await store.phases(operation.id) == phases
    await store.close()


async def test_operations_are_numbered_from_where_the_daemon_says(path: Path) -> None:
    store = await Store.open(path, first_operation=42)
    assert (await deploy(store)).id == 42
    assert (await switch(store)).id == 43
    await store.close()


async def served(
    store: Store, version: str, state: OperationState, *ends: PhaseState,
    kind: OperationKind = OperationKind.DEPLOY, commit: str | None = None,
) -> None:  # fmt: skip
    """Record a release that got as far as its switch."""
    operation = await store.create_operation(
        app="shop", kind=kind, lane=Lane.RELEASE, version=version,
        slot=Slot.GREEN, from_slot=Slot.BLUE, requested_by=ALICE,
    )  # fmt: skip
    if commit is not None:
        release = Release(app="shop", version=version, commit=commit, origin="x")
        await store.resolve_release(operation.id, release, Slot.GREEN)
    for step in (PhaseState.INTENT, *ends):
        await store.record_phase(operation.id, PhaseName.SWITCH, step)
    await store.finish_operation(operation.id, state)


async def test_since_when_a_branch_is_what_it_is_is_told_by_its_commit(store: Store) -> None:
    done = (OperationState.SUCCEEDED, PhaseState.DONE)
    for commit in ("c1", "c2"):
        await served(store, "main", *done, commit=commit)
    await served(store, "v1", *done, kind=OperationKind.ROLLBACK, commit="c1")
    assert await store.came_with("shop", "main") == 2
    for commit, number in (("c1", 1), ("c2", 2), ("c3", None)):
        assert await store.came_with("shop", "main", commit) == number


async def test_what_served_before_is_what_traffic_was_moved_to_and_left_on(store: Store) -> None:
    done = (OperationState.SUCCEEDED, PhaseState.DONE)
    assert await store.served_before("shop", "v1") is None
    await served(store, "v1", *done)
    assert await store.served_before("shop", "v1") is None
    await served(store, "v2", *done)
    assert await store.served_before("shop", "v2") == "v1"
    await served(store, "v1", *done, kind=OperationKind.ROLLBACK)
    assert await store.served_before("shop", "v1") is None
    await served(store, "v3", *done)
    assert await store.served_before("shop", "v3") == "v1"
    undone = (PhaseState.DONE, PhaseState.UNDOING, PhaseState.UNDONE)
    await served(store, "v4", OperationState.ROLLED_BACK, *undone)
    await served(store, "v5", OperationState.FAILED, PhaseState.FAILED)
    await served(store, "v6", OperationState.CANCELLED, *undone)
    assert await store.served_before("shop", "v3") == "v1"
    assert await store.served_before("blog", "v3") is None


async def test_going_back_goes_further_back_each_time(store: Store) -> None:
    done = (OperationState.SUCCEEDED, PhaseState.DONE)
    await served(store, "v0", *done, kind=OperationKind.ROLLBACK)
    for version in ("v1", "v2", "v3"):
        await served(store, version, *done)
    for serving, before in (("v3", "v2"), ("v2", "v1"), ("v1", "v0"), ("v0", None)):
        assert await store.served_before("shop", serving) == before
        if before is not None:
            await served(store, before, *done, kind=OperationKind.SWITCH)


async def test_what_served_before_is_found_however_much_came_after(store: Store) -> None:
    await served(store, "v1", OperationState.SUCCEEDED, PhaseState.DONE)
    await served(store, "v2", OperationState.SUCCEEDED, PhaseState.DONE)
    for _ in range(250):
        kind = OperationKind.RESTART
        await served(store, "v2", OperationState.SUCCEEDED, PhaseState.DONE, kind=kind)
    assert await store.served_before("shop", "v2") == "v1"


async def test_the_latest_phases_are_of_successes_of_that_kind_and_app_only(store: Store) -> None:
    for version, outcome, app in (
        ("v1", OperationState.SUCCEEDED, "shop"),
        ("v2", OperationState.SUCCEEDED, "shop"),
        ("v3", OperationState.FAILED, "shop"),
        ("v4", OperationState.SUCCEEDED, "blog"),
        ("v5", OperationState.SUCCEEDED, "shop"),
    ):
        operation = await deploy(store, app, version)
        await store.record_phase(operation.id, PhaseName.FETCH, PhaseState.INTENT)
        await store.record_phase(operation.id, PhaseName.FETCH, PhaseState.DONE)
        await store.finish_operation(operation.id, outcome)
    found = await store.latest_phases("shop", OperationKind.DEPLOY, limit=2)
    assert [(record.operation, record.state) for record in found] == [
        (2, PhaseState.INTENT), (2, PhaseState.DONE), (5, PhaseState.INTENT), (5, PhaseState.DONE),
    ]  # fmt: skip
    assert await store.latest_phases("shop", OperationKind.ROLLBACK, limit=2) == []
