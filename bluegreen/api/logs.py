"""The kept output of operations and services, as a stream of JSON lines ``{"source", "line"}``."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from bluegreen.errors import NotFoundError, UsageError
from bluegreen.instances import instance_name
from bluegreen.layout import AppLayout
from bluegreen.migrations.commands import shown
from bluegreen.model import Operation, Slot
from bluegreen.operations.desk import Desk
from bluegreen.operations.plans import phases_of
from bluegreen.operations.runtime import AppRuntime
from bluegreen.supervisors.tails import Tail, stream


def kept_output(layout: AppLayout, number: int) -> list[str]:
    """What of an operation has written anything: ``build-STEP``, ``gate-SERVICE-NAME``. Blocking.

    The name begins with its phase.
    """
    return [path.stem for path, size in _logs(layout, number).items() if size]


def _logs(layout: AppLayout, number: int) -> dict[Path, int]:
    """The bytes of each, in the order in which they were last written to: that of the steps."""
    found = []
    for path in layout.operation_logs(number).glob("*.log"):
        with suppress(FileNotFoundError):  # an old one is being removed
            stat = path.stat()
            found.append((stat.st_mtime_ns, path, stat.st_size))
    return {path: size for _, path, size in sorted(found)}


async def operation_logs(
    desk: Desk,
    app: str,
    number: int,
    phase: str | None,
    *,
    follow: Callable[[], bool],
    latest: int | None = None,
) -> AsyncGenerator[bytes, None]:
    """The output of an operation's steps, and at last why it did not succeed.

    With ``latest`` it begins with so many lines of each.
    """
    operation = await desk.parts.store.operation(number)
    if operation.app != app:
        raise NotFoundError(
            f"operation {number} is one of {operation.app}, not of {app}",
            remedy=f"bluegreen history {app}",
        )
    _require_phase(operation, phase)
    layout = desk.parts.layout.app(app)
    tails: dict[Path, Tail[str]] = {}

    def find() -> Sequence[Tail[str]]:
        for path in _logs(layout, number):
            if path not in tails and _is_of(path, phase):
                tails[path] = _tail(path, latest)
        return list(tails.values())

    def goes_on() -> bool:
        run = desk.running(app)
        return run is not None and follow() and run.operation.id == number

    async def lines() -> AsyncGenerator[bytes, None]:
        async with aclosing(stream(find, goes_on=goes_on)) as found:
            async for source, line in found:
                yield _document(source, shown(line))
        error = (await desk.parts.store.operation(number)).error
        if error is not None and phase is None:
            for text in (error.message, *error.detail, f"Next: {error.remedy}"):
                yield _document("outcome", text)

    return lines()


def _is_of(path: Path, phase: str | None) -> bool:
    return phase is None or path.stem == phase or path.stem.startswith(f"{phase}-")


def _tail(path: Path, latest: int | None) -> Tail[str]:
    tail = Tail(path.stem, path)
    if latest is not None:
        tail.seek_back(latest)
    return tail


def _require_phase(operation: Operation, phase: str | None) -> None:
    # A phase may stand in two places of a plan, and is named once.
    has = dict.fromkeys(one.name.value for one in phases_of(operation.kind))
    if phase is not None and phase not in has:
        raise UsageError(
            f"operation {operation.id} has no phase {phase}",
            remedy=f"name one of: {', '.join(has)}",
        )


async def service_logs(
    app: AppRuntime, service: str | None, *, lines: int, follow: Callable[[], bool]
) -> AsyncGenerator[bytes, None]:
    """The last lines of a service in both slots, or of all services of the active one.

    Followed, the latter are at any time those of the slot that is active by then. Raises
    SupervisorError when its supervisor cannot read them.
    """
    if service is not None and service not in app.settings.services:
        raise NotFoundError(
            f"{app.name} has no service named {service}",
            remedy=f"its services: {', '.join(app.settings.services)}",
        )

    def is_asked_for(slot: Slot) -> bool:
        return service is not None or slot is (app.active or app.idle)

    slots = [slot for slot in Slot if follow() or is_asked_for(slot)]
    names = [service] if service is not None else list(app.settings.services)
    keys = [key for slot in slots for key in app.unit_keys(slot, names)]
    logs = await app.parts.supervisor.log_lines(keys, lines, follow=follow)

    async def documents() -> AsyncGenerator[bytes, None]:
        async with aclosing(logs):
            async for key, line in logs:
                if not is_asked_for(key.slot):
                    continue
                name = instance_name(key, app.instances(key.slot, key.service))
                yield _document(f"{key.slot.value} {name}", line)

    return documents()


def _document(source: str, line: str) -> bytes:
    return json.dumps({"source": source, "line": line}).encode() + b"\n"
