"""What slots hold, and operators' locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluegreen.errors import StoreError
from bluegreen.model import AppLock, Slot, SlotRecord, SlotState
from bluegreen.store import Store
from bluegreen.store.slots import as_started

HOT = SlotRecord(
    app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v1", commit="0a1b",
    tree=Path("/srv/trees/1-blue"), operation=1, gated_by=2, hot_until=1.5e9,
    services={"api": 3, "web": 1},
    exclusive=("web",),
)  # fmt: skip


async def test_an_unknown_app_has_two_empty_slots(store: Store) -> None:
    assert await store.slots("shop") == {
        Slot.BLUE: SlotRecord(app="shop", slot=Slot.BLUE),
        Slot.GREEN: SlotRecord(app="shop", slot=Slot.GREEN),
    }
    assert await store.all_slots() == {}


async def test_a_slot_is_what_was_recorded_last(store: Store) -> None:
    await store.save_slot(HOT)
    assert (await store.slots("shop"))[Slot.BLUE] == HOT
    starting = SlotRecord(app="shop", slot=Slot.BLUE, state=SlotState.STARTING, version="v2")
    await store.save_slot(starting)
    assert await store.slots("shop") == {
        Slot.BLUE: starting,
        Slot.GREEN: SlotRecord(app="shop", slot=Slot.GREEN),
    }


def test_what_a_version_without_instances_has_written_is_one_of_each() -> None:
    assert as_started(["api", "web"]) == {"api": 1, "web": 1}
    assert as_started({"api": 3}) == {"api": 3}


async def test_all_slots_has_both_of_every_app(store: Store) -> None:
    await store.save_slot(HOT)
    cold = SlotRecord(app="blog", slot=Slot.GREEN, state=SlotState.COLD, version="v9")
    await store.save_slot(cold)
    assert await store.all_slots() == {
        "blog": {Slot.BLUE: SlotRecord(app="blog", slot=Slot.BLUE), Slot.GREEN: cold},
        "shop": {Slot.BLUE: HOT, Slot.GREEN: SlotRecord(app="shop", slot=Slot.GREEN)},
    }


@pytest.mark.parametrize(
    "record",
    [
        SlotRecord(app="shop", slot=Slot.BLUE, version="v1"),
        SlotRecord(app="shop", slot=Slot.BLUE, state=SlotState.COLD),
        SlotRecord(app="shop", slot=Slot.BLUE, state=SlotState.HOT, version="v2"),
    ],
)
async def test_a_slot_that_contradicts_itself_is_refused(store: Store, record: SlotRecord) -> None:
    await store.save_slot(HOT)
    with pytest.raises(StoreError, match="refuses the change") as refusal:
        await store.save_slot(record)
    assert "nothing was recorded" in refusal.value.remedy
    assert (await store.slots("shop"))[Slot.BLUE] == HOT


async def test_a_lock_is_set_replaced_and_cleared(store: Store) -> None:
    assert await store.lock("shop") is None
    for reason in ("audit", "freeze"):
        lock = AppLock(app="shop", reason=reason, by="uid 0 (root)", at=1.5e9)
        await store.set_lock(lock)
        assert await store.lock("shop") == lock
    assert await store.lock("blog") is None
    assert await store.clear_lock("shop") is True
    assert await store.clear_lock("shop") is False
    assert await store.lock("shop") is None
