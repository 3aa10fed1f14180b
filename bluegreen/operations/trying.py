"""Whether releases live with the copy of the data that migrations are rehearsed on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from bluegreen.data.backups import RehearsalPlace
from bluegreen.errors import GateError, MigrationError
from bluegreen.health.gate import pass_gate
from bluegreen.health.smoke import pass_smoke
from bluegreen.health.target import Target
from bluegreen.migrations.commands import Told
from bluegreen.model import PhaseName, ProbeResult
from bluegreen.operations.on_copy import (
    OnCopy,
    asked_services,
    baked_addresses,
    running_on_copy,
)
from bluegreen.operations.run import Run


async def start_new_version(run: Run, place: RehearsalPlace) -> None:
    """Start the release on the copy, which it migrates as it starts; its probes have to pass.

    Raises MigrationError, also where its output matches ``fail_on``.
    """
    app, settings = run.app, run.app.settings
    version = run.operation.version or ""
    what = OnCopy(
        label="new", slot=run.target, version=version, tree=place.tree, data=place.data,
        services=asked_services(settings, tuple(settings.services)),
        real=(app.layout.shared, app.layout.slots),
    )  # fmt: skip
    await run.say(f"{version} migrates the copy as it starts: {_listed(what)}")
    try:
        async with running_on_copy(run, what) as target:
            await pass_gate(target, settings.gate, healthy_for=0, on_result=_told(run, version))
    except GateError as error:
        raise _refused(
            run, f"{version} does not come up on a copy of the data: {_cause(error, target)}",
            error.detail, "correct the release; the data were not touched",
        ) from error  # fmt: skip
    for service in what.services:
        pattern = None if settings.migrations is None else settings.migrations.failure
        told = await asyncio.to_thread(Told.read, what.log(run, service), 0, pattern, None)
        if told.failure is not None:
            raise _refused(
                run, f"what {service} of {version} says matches fail_on in the rehearsal",
                [told.failure], "correct the release; the data were not touched",
            )  # fmt: skip


async def try_old_version(run: Run, place: RehearsalPlace) -> dict[str, Any]:
    """Let the version that serves take its scenario on the migrated copy: what is recorded of it.

    A copy of its tree, as its own links lead to the real data. Raises MigrationError.
    """
    app, section, gate = run.app, run.app.settings.migrations, run.app.settings.gate
    if run.origin is None or section is None or not section.tries_old_version:
        return {}
    held = app.slots[run.origin]
    if held.tree is None or held.version is None:
        return {}
    what = OnCopy(
        label="old", slot=run.origin, version=held.version, tree=place.release, data=place.data,
        services=asked_services(app.settings, app.services(run.origin)),
        real=(app.layout.shared, app.layout.slots, held.tree),
    )  # fmt: skip
    if not any(step.service in what.services for step in gate.smoke):
        await run.say(f"whether {held.version} lives with it is not known: no [[gate.smoke]]")
        return {}
    log = run.logs / "rehearse-copy.log"
    await app.backups.copy_release(held.tree, place, log, run.say)
    await run.say(f"{held.version} is tried on the migrated copy: {_listed(what)}")
    if baked := baked_addresses(app.settings):
        await run.say(
            f"{', '.join(baked)} in [[build]] are those of {run.origin}: what {held.version} asks "
            "there, the release that serves answers"
        )
    began = time.monotonic()
    try:
        async with running_on_copy(run, what) as target:
            told = _told(run, held.version)
            await pass_gate(target, gate, healthy_for=0, on_result=told)
            await pass_smoke(target, gate.smoke, on_result=told)
    except GateError as error:
        raise _refused(
            run,
            f"the old version {held.version} does not live with the migrated schema: "
            f"{_cause(error, target)}",
            error.detail,
            'use mode = "hold", or let the migration keep what the old version needs; rehearse = '
            '"migrations" leaves this out. The data were not touched',
        ) from error
    took = time.monotonic() - began
    await run.say(f"{held.version} lives with the migrated schema ({took:.1f} s)")
    return {"tried": held.version, "services": list(what.services)}


def _listed(what: OnCopy) -> str:
    return ", ".join(what.services) or "no service"


def _told(run: Run, version: str) -> Callable[[ProbeResult], None]:
    """Answers on the copy are not those of the gate later on, and are told apart."""

    def tell(result: ProbeResult) -> None:
        run.on_probe(replace(result, probe=f"{result.probe} of {version} on the copy"))

    return tell


def _cause(error: GateError, target: Target) -> str:
    return error.message.removeprefix(f"{target.app} {target.version} in {target.slot}: ")


def _refused(run: Run, what: str, detail: Any, remedy: str) -> MigrationError:
    return MigrationError(
        f"{run.app.name}: {what}",
        detail=detail,
        remedy=f"{remedy}. The whole output: bluegreen logs {run.app.name} {run.operation.id} "
        f"--phase {PhaseName.REHEARSE}",
    )
