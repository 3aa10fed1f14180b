"""Records operations under a limit on the size of files until the store is full.

Prints, as JSON, what the store said then and what it could still do, and what it did when there
was room again. The limit (RLIMIT_FSIZE) needs no privileges; it holds for this process only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import sys
from pathlib import Path

from bluegreen.errors import BluegreenError, StoreFullError
from bluegreen.model import OperationState, Slot
from bluegreen.store import Store
from tests.store.rows import deploy, switch

ROOM = 100_000  # bytes by which the WAL may still grow


async def _main(path: Path) -> None:
    told: list[int] = []
    store = await Store.open(path, events=lambda event: told.append(event.id))
    first = await deploy(store)
    wal = path.with_name(f"{path.name}-wal")
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (wal.stat().st_size + ROOM, hard))
    errors: list[BluegreenError] = []
    recorded = [first.id]
    for number in range(1000):
        try:
            recorded.append((await switch(store, f"app{number}")).id)
        except StoreFullError as error:
            errors.append(error)
            break
    with contextlib.suppress(StoreFullError):  # what is smaller finds room for a while
        while True:
            await store.add_event(app="shop", operation=None, kind="output", data={})
    try:
        await store.finish_operation(first.id, OperationState.SUCCEEDED)
    except StoreFullError as error:
        errors.append(error)
    readable = [operation.id for operation in await store.unfinished()]
    slots = await store.slots("shop")
    events = [event.id for event in await store.events()]
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    finished = await store.finish_operation(first.id, OperationState.SUCCEEDED)
    await store.close()
    print(
        json.dumps(
            {
                "errors": [error.lines() for error in errors],
                "recorded": recorded,
                "readable": readable,
                "told_what_is_recorded": told[: len(events)] == events,
                "slots": sorted(slots) == sorted(Slot),
                "finished": finished.state,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
