"""The pause of releases of triggers, as the database keeps it."""

from __future__ import annotations

from bluegreen.model import OperationState
from bluegreen.store import Store
from tests.store.rows import deploy, switch


async def test_a_deploy_that_was_asked_for_before_a_switch_ends_no_pause(store: Store) -> None:
    before = await deploy(store)
    by_hand = await switch(store)
    await store.finish_operation(before.id, OperationState.SUCCEEDED)
    pause = await store.waiting.pause("shop")
    assert pause is not None
    assert pause.operation == by_hand.id
    after = await deploy(store, version="v3")
    await store.finish_operation(after.id, OperationState.SUCCEEDED)
    assert await store.waiting.pause("shop") is None
