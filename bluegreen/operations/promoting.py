"""What waits for a person, and how that person lets it go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from bluegreen.errors import RefusedError
from bluegreen.model import OperationKind, PhaseState, Requester
from bluegreen.operations.run import Promotion, Run
from bluegreen.operations.runtime import AppRuntime

_T = TypeVar("_T")


def waits_for_a_person(run: Run) -> bool:
    """Whether it is to go on only once somebody has said so."""
    if run.operation.kind is not OperationKind.DEPLOY:
        return False
    return run.operation.manual or run.app.settings.promote.mode == "manual"


async def promote(
    app: AppRuntime, run: Run | None, by: Requester, *, number: int | None = None
) -> Run:
    """Let ``run`` go on from where it waits, durably. Raises RefusedError, StoreError.

    ``number`` is that of the operation that is meant, where whoever asks has seen one.
    """
    async with app.commit:  # in which a wait that is over says so
        if number is not None and (run is None or run.operation.id != number):
            raise _another_waits(app, run, number)
        if run is None or run.promotion is None or run.interruption is not None:
            raise _nothing_waits(app, run)
        await run.record(run.promotion.phase, PhaseState.DONE, {"by": by.name})
        if run.interruption is not None:  # meanwhile: it is on its way back
            raise _nothing_waits(app, run)
        run.promotion = None
        run.go_on.set()
    await run.note("promotion", state="promoted", by=by.name)
    return run


def _another_waits(app: AppRuntime, run: Run | None, number: int) -> RefusedError:
    """Never the next best: nobody has looked at it."""
    runs = "nothing runs on it"
    if run is not None:
        one = run.operation
        runs = f"operation {one.id} ({' '.join(filter(None, (one.kind, one.version)))}) runs"
    return RefusedError(
        f"operation {number} of {app.name} does not wait to be promoted: {runs}",
        remedy=f"see what waits: bluegreen status {app.name}",
    )


def _nothing_waits(app: AppRuntime, run: Run | None) -> RefusedError:
    if run is None:
        return RefusedError(
            f"no release of {app.name} waits to be promoted",
            remedy=f"see what it does: bluegreen status {app.name}; to have one wait: "
            f"bluegreen deploy {app.name} VERSION --manual",
        )
    phase = next(reversed(run.recorded), None)
    return RefusedError(
        f"operation {run.operation.id} ({run.operation.kind}) of {app.name} does not wait to be "
        f"promoted: it is {'about to begin' if phase is None else f'in its phase {phase}'}",
        remedy=f"look whether it comes to that: bluegreen status {app.name}",
    )


@contextlib.contextmanager
def promotable(run: Run, standing: Promotion) -> Iterator[None]:
    """Within it the release stands there until a person lets it go on."""
    run.promotion = standing
    try:
        yield
    finally:
        run.promotion = None


async def unless_promoted(run: Run, work: Coroutine[Any, Any, _T]) -> _T | None:
    """What ``work`` returns; None, and it is cancelled, once a person lets the release go on."""
    working = asyncio.create_task(work, name=f"wait of operation {run.operation.id}")
    asked = asyncio.create_task(run.go_on.wait(), name=f"promotion of operation {run.operation.id}")
    try:
        await asyncio.wait([working, asked], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, asked):
            task.cancel()
        await asyncio.wait([working, asked])
