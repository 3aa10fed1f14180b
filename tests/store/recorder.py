"""Records operations in the database given as its argument until it is killed.

Each line on standard output, ``created N`` or ``finished N``, is written after that commit.
What a run before has left unfinished is ended first, as the daemon does.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bluegreen.model import OperationState, PhaseName, PhaseState, Release, Slot, SlotRecord
from bluegreen.model import SlotState as State
from bluegreen.store import Store
from tests.store.rows import deploy, switch


def _say(what: str, operation: int) -> None:
    os.write(1, f"{what} {operation}\n".encode())


async def _switches(store: Store, app: str) -> None:
    while True:
        operation = await switch(store, app)
        _say("created", operation.id)
        records = [
            SlotRecord(
                app=app, slot=slot, state=State.HOT, version="v1",
                operation=operation.id, gated_by=operation.id,
            )
            for slot in Slot
        ]  # fmt: skip
        await store.finish_operation(
            operation.id, OperationState.SUCCEEDED,
            phase=(PhaseName.SWITCH, PhaseState.DONE, {}), slots=records,
        )  # fmt: skip
        _say("finished", operation.id)


async def _deploys(store: Store, app: str) -> None:
    while True:
        operation = await deploy(store, app)
        _say("created", operation.id)
        release = Release(app=app, version="v2", commit="0a1b2c", origin="test")
        await store.resolve_release(operation.id, release)
        for phase in (PhaseName.FETCH, PhaseName.BUILD, PhaseName.START):
            await store.record_phase(operation.id, phase, PhaseState.INTENT)
            await store.add_event(app=app, operation=operation.id, kind="output", data={"n": 1})
            await store.record_phase(operation.id, phase, PhaseState.DONE)
        await store.finish_operation(operation.id, OperationState.ROLLED_BACK)
        _say("finished", operation.id)


async def _main(path: Path) -> None:
    store = await Store.open(path)
    for operation in await store.unfinished():
        await store.finish_operation(operation.id, OperationState.INTERRUPTED)
        _say("finished", operation.id)
    async with asyncio.TaskGroup() as tasks:
        for app in ("shop", "blog"):
            tasks.create_task(_switches(store, app), name=f"switches of {app}")
            tasks.create_task(_deploys(store, app), name=f"deploys of {app}")


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
