"""A release asked once more as visitors will ask it: through nginx, before they are let in.

What answers well at its own address may not do so behind nginx: by a route that leads elsewhere, a
redirect to its own port, a host name that it refuses, a header that it makes something of. A key of
a preview, made for this operation alone, leads past a hold as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from bluegreen.config.questions import Probe, SmokeStep, question
from bluegreen.config.settings import Gate
from bluegreen.errors import GateError
from bluegreen.health.entrance import Entrance
from bluegreen.health.gate import pass_gate
from bluegreen.health.refusal import NOTHING_SWITCHED
from bluegreen.health.smoke import pass_smoke
from bluegreen.health.target import Target
from bluegreen.model import Slot
from bluegreen.operations.run import Run
from bluegreen.processes import uninterrupted
from bluegreen.traffic.disk import disk_error
from bluegreen.traffic.entrance import entrance_address, host_header, why_no_preview
from bluegreen.traffic.previews import HEADER, SLOT_HEADER, Preview, Previews

_Asked = TypeVar("_Asked", Probe, SmokeStep)

PATIENCE = 10.0  # seconds for probes that have passed at the slot's own addresses
NGINX_WITHIN = 5.0  # seconds that an nginx has which is being started again
_NOTHING_ROUTED = "no probe or step has a path that nginx sends to its service"


def time_through_nginx(gate: Gate) -> float:
    """Seconds that it may take."""
    if not gate.through_nginx:
        return 0.0
    return NGINX_WITHIN + PATIENCE + sum(step.timeout for step in gate.smoke)


async def pass_through_nginx(run: Run, target: Target) -> str:
    """Return once probes and scenario have passed through nginx: what is recorded of it.

    Commands, and what nginx does not send to the service that is asked, are left out; a step that
    others may need the answer of is then asked of the service itself. Raises GateError, and
    TrafficError where nginx does not answer at all or the disk takes no key.
    """
    settings = run.app.settings
    if not settings.gate.through_nginx:
        return "not looked through: through_nginx = false"
    if why_no_preview(settings) is not None:
        return 'not looked through: mode = "upstream"'
    through = replace(target, entrance=_entrance(run, None))
    probes = [probe for probe in settings.gate.probes if _is_routed(through, probe)]
    steps = [step for step in settings.gate.smoke if step.command is None]
    captured = _captured(settings.gate)
    routed = [_is_routed(through, step, captured) for step in steps]
    if not any(routed):
        steps, routed = [], []
    if not probes and not steps:
        return f"not looked through: {_NOTHING_ROUTED}"
    await run.app.parts.traffic.expect_nginx(run.app.name, within=NGINX_WITHIN)
    gate = settings.gate.model_copy(
        update={
            "probes": tuple(_named(probe) for probe in probes),
            "deadline": min(settings.gate.deadline, PATIENCE),
        }
    )
    async with _preview(run, target.slot) as preview:
        through = replace(target, entrance=_entrance(run, preview))
        try:
            await pass_gate(through, gate, healthy_for=0.0, on_result=run.on_probe)
            await pass_smoke(
                through,
                [_named(step) if led else step for step, led in zip(steps, routed, strict=True)],
                on_result=run.on_probe,
            )
        except GateError as error:
            raise _refusal(run, error) from error
    return f"{len(probes)} probes and {sum(routed)} steps have passed"


def _entrance(run: Run, preview: Preview | None) -> Entrance:
    settings = run.app.settings
    headers = {} if preview is None else {HEADER: preview.key}
    if (host := host_header(settings.nginx)) is not None:
        headers["Host"] = host
    return Entrance(
        address=entrance_address(settings, run.app.parts.layout), headers=headers,
        secret="" if preview is None else preview.key,
        proof=(SLOT_HEADER, run.target.value), routes=settings.routes,
    )  # fmt: skip


def _is_routed(
    through: Target, asked: Probe | SmokeStep, captured: Mapping[str, str] = MappingProxyType({})
) -> bool:
    if through.entrance is None or asked.service not in through.services:
        return False
    return through.entrance.leads_to(asked, {**captured, **through.values[asked.service]})


def _captured(gate: Gate) -> dict[str, str]:
    """Something for each value that the scenario captures, before it has."""
    wanted = (step.http.capture for step in gate.smoke if step.http is not None)
    return {f"captured.{name}": "captured" for names in wanted for name in names}


def _named(asked: _Asked) -> _Asked:
    """As it is called in what is told of it."""
    websocket, http = asked.websocket, asked.http
    name = f"{asked.name or question(http, websocket)} through nginx"
    return asked.model_copy(update={"name": name})


@contextlib.asynccontextmanager
async def _preview(run: Run, slot: Slot) -> AsyncIterator[Preview]:
    """A key for this operation, of which nothing is left; after a crash the next daemon sees to it.

    Raises TrafficError when it cannot be written.
    """
    previews = Previews.of(run.app.layout)
    number = run.operation.id
    until = time.time() + time_through_nginx(run.app.settings.gate)
    issuing = asyncio.to_thread(
        previews.issue, slot, until=until, by=f"operation {number}", operation=number
    )
    try:
        try:
            preview = await uninterrupted(issuing, name=f"key of the gate of operation {number}")
        except OSError as error:
            raise disk_error(f"{run.app.name}: the gate got no key of a preview", error) from error
        yield preview
    finally:
        await uninterrupted(
            asyncio.to_thread(_revoke, previews, number),
            name=f"end of the key of the gate of operation {number}",
        )


def _revoke(previews: Previews, operation: int) -> None:
    # What the disk does not let go now, the next start of the daemon does.
    with contextlib.suppress(OSError):
        for preview in previews.present():
            if preview.operation == operation:
                previews.revoke(preview)


def _refusal(run: Run, error: GateError) -> GateError:
    settings = run.app.settings
    host = host_header(settings.nginx)
    asked = entrance_address(settings, run.app.parts.layout)
    said = f"asked at {asked}" if host is None else f"asked at {asked} with Host: {host}"
    return GateError(
        error.message,
        detail=[f"through nginx: {said}; at its own address it had passed", *error.detail],
        remedy=f"{NOTHING_SWITCHED}It answers otherwise behind nginx: see [[routes]], and what it "
        "makes of Host and X-Forwarded-* (a probe may set its own request_headers). "
        "through_nginx = false in [gate] leaves this out",
    )
