"""Events: recorded with what they tell of, told after it is on disk."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bluegreen.errors import BusyError, StoreError
from bluegreen.model import (
    Event,
    OperationError,
    OperationState,
    PhaseName,
    PhaseState,
)
from bluegreen.store import Store
from tests.store.rows import deploy, opened, switch


async def test_every_state_and_phase_step_is_an_event(store: Store, told: list[Event]) -> None:
    operation = await switch(store, data={"why": "slow"})
    error = OperationError(kind="traffic", message="nginx is down", remedy="start it")
    await store.finish_operation(
        operation.id, OperationState.FAILED, error=error,
        phase=(PhaseName.SWITCH, PhaseState.FAILED, {}),
    )  # fmt: skip
    assert [(e.kind, e.data["state"]) for e in told] == [
        ("operation", "queued"),
        ("operation", "running"),
        ("phase", "intent"),
        ("phase", "failed"),
        ("operation", "failed"),
    ]
    assert told[2].data == {"phase": "switch", "state": "intent", "data": {"why": "slow"}}
    assert told[1].data == {
        "state": "running", "kind": "switch", "lane": "switch", "version": None,
        "slot": "blue", "from_slot": "green", "requested_by": "uid 1000 (alice)",
        "data": {"why": "slow"}, "error": None,
    }  # fmt: skip
    assert told[4].data["error"] == {
        "kind": "traffic", "message": "nginx is down", "remedy": "start it", "detail": [],
    }  # fmt: skip
    assert {e.operation for e in told} == {operation.id}
    assert await store.events() == told


async def test_event_ids_grow_by_one(store: Store, told: list[Event]) -> None:
    await asyncio.gather(
        *(
            store.add_event(app="shop", operation=None, kind="output", data={"line": str(number)})
            for number in range(20)
        )
    )
    assert [event.id for event in told] == list(range(1, 21))


async def test_an_added_event_is_returned_as_it_is_kept(store: Store, told: list[Event]) -> None:
    operation = await deploy(store)
    tricky: dict[str, Any] = {"line": "é\x00\udcff\n", "path": Path("/srv/x"), "n": [1, None]}
    event = await store.add_event(app="shop", operation=operation.id, kind="output", data=tricky)
    assert event.data == {**tricky, "path": "/srv/x"}
    assert told[-1] == event
    assert (await store.events())[-1] == event


async def test_events_are_read_by_operation_by_app_and_onwards(store: Store) -> None:
    first, second = await deploy(store), await deploy(store, "blog")
    note = await store.add_event(app="shop", operation=None, kind="warning", data={})
    assert {e.operation for e in await store.events(operation=second.id)} == {second.id}
    shop = await store.events(app="shop")
    assert [e.operation for e in shop] == [first.id, first.id, None]
    assert await store.events(app="shop", after=shop[0].id) == shop[1:]
    assert await store.events(app="shop", limit=1) == shop[:1]
    assert await store.events(app="shop", operation=second.id) == []
    assert await store.events(after=note.id) == []


async def test_an_event_is_told_when_it_is_on_disk(path: Path) -> None:
    seen: list[int] = []

    def listener(event: Event) -> None:
        with opened(path) as other:
            [count] = other.execute("SELECT count(*) FROM events WHERE id = ?", (event.id,))
            seen.extend(count)

    store = await Store.open(path, events=listener)
    await deploy(store)
    await store.close()
    assert seen == [1, 1]


async def test_what_is_rolled_back_is_not_told(store: Store, told: list[Event]) -> None:
    await deploy(store)
    before = list(told)
    with pytest.raises(BusyError):
        await deploy(store)
    with pytest.raises(StoreError, match="FOREIGN KEY"):
        await store.add_event(app="shop", operation=99, kind="output", data={})
    assert told == before
    assert await store.events() == before


async def test_a_listener_that_fails_is_reported_and_the_change_stands(path: Path) -> None:
    reports: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, report: reports.append(report))

    def listener(event: Event) -> None:
        raise RuntimeError(f"no ear for {event.kind}")

    store = await Store.open(path, events=listener)
    operation = await deploy(store)
    assert await store.unfinished() == [operation]
    await store.close()
    assert [str(report["exception"]) for report in reports] == ["no ear for operation"] * 2
