"""What the world says an app's slots hold, for a store that has lost its memory."""

from __future__ import annotations

import asyncio
import time

from bluegreen.layout import Layout, number_of
from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.operations.runtime import AppRuntime
from bluegreen.supervisors import wanted
from bluegreen.supervisors.records import ProcessRecords
from bluegreen.traffic.markers import Markers


async def observe_slots(app: AppRuntime) -> bool:
    """Where the store says nothing of the slot that serves, or something else, see what both hold.

    It was lost, or is older than the world. From their links, the stamps of their trees, and the
    marker: the slot that serves counts as having passed its gate, as the marker was moved there for
    it. An idle one that is to run, by its processes' records or its mark, is to be gated anew.
    Returns whether it was so.
    """
    markers = Markers(app.layout.traffic)
    named = markers.present()
    if not [slot for slot in named if await _is_news(app, slot, is_open=not markers.closed)]:
        return False
    running = await asyncio.to_thread(_recorded_slots, app)
    keep = app.settings.keep.hot
    for slot in Slot:
        tree = await app.trees.current(slot)
        info = None if tree is None else app.trees.info(tree)
        if info is None:
            continue
        active = slot in named
        idle_state = SlotState.STARTING if slot in running else SlotState.COLD
        await app.save_slot(
            SlotRecord(
                app=app.name,
                slot=slot,
                state=SlotState.HOT if active else idle_state,
                version=info.version,
                commit=info.commit,
                tree=tree,
                operation=info.operation,
                gated_by=info.operation if active else None,
                hot_until=None if active or keep is None else time.time() + keep,
                services={name: one.instances for name, one in app.settings.services.items()},
                exclusive=tuple(sorted(app.settings.exclusive)),
            )
        )
    return True


async def _is_news(app: AppRuntime, slot: Slot, *, is_open: bool) -> bool:
    """Whether what traffic is on is not what the store knows of the slot."""
    held = app.slots[slot]
    if held.state is SlotState.EMPTY or not is_open:
        return held.state is SlotState.EMPTY
    tree = await app.trees.current(slot)
    return held.state is SlotState.COLD or (tree is not None and tree != held.tree)


def _recorded_slots(app: AppRuntime) -> set[Slot]:
    """The slots that a process has left its record of, or that a mark says are to run. Blocking."""
    layout = app.parts.layout
    records = ProcessRecords(layout.process_records).load()
    marked = {slot for slot in Slot if wanted.path(layout, app.name, slot).exists()}
    recorded = (record.key for record in records if record.key is not None)
    return marked | {key.slot for key in recorded if key.app == app.name}


def first_free_operation(layout: Layout) -> int:
    """One more than the highest operation that trees, logs and backups still bear the number of."""
    names = [tree.name.split("-", 1)[0] for tree in layout.state.glob("apps/*/trees/*-*")]
    names += [logs.name for logs in layout.logs.glob("apps/*/operations/*")]
    names += [backup.name for backup in layout.state.glob("apps/*/backups/*")]
    return max((number_of(name) or 0 for name in names), default=0) + 1
