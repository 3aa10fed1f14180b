"""Which files hold the output that was asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from bluegreen.api.output import Tail, stream
from bluegreen.errors import NotFoundError, UsageError
from bluegreen.model import Operation, Slot
from bluegreen.operations.desk import Desk
from bluegreen.operations.plans import phases_of
from bluegreen.operations.runtime import AppRuntime


async def operation_logs(
    desk: Desk, app: AppRuntime, number: int, phase: str | None, *, follow: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The output of an operation's steps, and at last why it did not succeed."""
    operation = await desk.parts.store.operation(number)
    if operation.app != app.name:
        raise NotFoundError(
            f"operation {number} is one of {operation.app}, not of {app.name}",
            remedy=f"bluegreen history {app.name}",
        )
    _require_phase(operation, phase)
    tails: dict[Path, Tail] = {}

    def find() -> Sequence[Tail]:
        for path in sorted(app.layout.operation_logs(number).glob("*.log")):
            if phase is None or path.stem == phase or path.stem.startswith(f"{phase}-"):
                tails.setdefault(path, Tail(path.stem, path))
        return list(tails.values())

    def goes_on() -> bool:
        run = desk.running(app.name)
        return run is not None and follow() and run.operation.id == number

    async def lines() -> AsyncIterator[bytes]:
        async for line in stream(find, goes_on=goes_on):
            yield line
        error = (await desk.parts.store.operation(number)).error
        if error is not None and phase is None:
            for text in (error.message, *error.detail, f"Next: {error.remedy}"):
                yield json.dumps({"source": "outcome", "line": text}).encode() + b"\n"

    return lines()


def _require_phase(operation: Operation, phase: str | None) -> None:
    has = [one.name.value for one in phases_of(operation.kind)]
    if phase is not None and phase not in has:
        raise UsageError(
            f"operation {operation.id} has no phase {phase}",
            remedy=f"name one of: {', '.join(has)}",
        )


async def service_logs(
    app: AppRuntime, service: str | None, *, lines: int, follow: Callable[[], bool]
) -> AsyncIterator[bytes]:
    """The last lines of a service in both slots, or of all services of the active one."""
    if service is not None and service not in app.settings.services:
        raise NotFoundError(
            f"{app.name} has no service named {service}",
            remedy=f"its services: {', '.join(app.settings.services)}",
        )
    slots = list(Slot) if service is not None else [app.active or app.idle]
    names = [service] if service is not None else list(app.settings.services)
    tails = [
        Tail(f"{slot.value} {name}", app.layout.service_log(slot, name))
        for slot in slots
        for name in names
    ]
    await asyncio.to_thread(_seek_back, tails, lines)
    return stream(lambda: tails, goes_on=follow)


def _seek_back(tails: Sequence[Tail], lines: int) -> None:
    for tail in tails:
        tail.seek_back(lines)
