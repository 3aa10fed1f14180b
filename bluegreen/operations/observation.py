"""What the world says an app's slots hold, for a store that has lost its memory."""

from __future__ import annotations

import asyncio
import time

from bluegreen.layout import Layout
from bluegreen.model import Slot, SlotRecord, SlotState
from bluegreen.operations.runtime import AppRuntime
from bluegreen.supervisors.records import ProcessRecords
from bluegreen.traffic.markers import Markers


async def observe_slots(app: AppRuntime) -> bool:
    """Where traffic is on a slot that the store knows nothing of, see what the slots hold.

    From their links, the stamps of their trees, and the marker: the slot that serves counts as
    having passed its gate, as the marker was moved there for it. An idle one whose processes have
    left records is to run on, and to be gated anew. Returns whether it was so.
    """
    named = Markers(app.layout.traffic).present()
    if not any(app.slots[slot].state is SlotState.EMPTY for slot in named):
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
                services=tuple(app.settings.services),
            )
        )
    return True


def _recorded_slots(app: AppRuntime) -> set[Slot]:
    """The slots of which a process has left its record. Blocking."""
    records = ProcessRecords(app.parts.layout.process_records).load()
    return {record.key.slot for record in records if record.key and record.key.app == app.name}


def first_free_operation(layout: Layout) -> int:
    """One more than the highest operation that trees, logs and backups still bear the number of."""
    names = [tree.name.split("-", 1)[0] for tree in layout.state.glob("apps/*/trees/*-*")]
    names += [logs.name for logs in layout.logs.glob("apps/*/operations/*")]
    names += [backup.name for backup in layout.state.glob("apps/*/backups/*")]
    return max((int(name) for name in names if name.isdecimal()), default=0) + 1
