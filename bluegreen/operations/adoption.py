"""At a start: what an earlier daemon, or a host that has booted, has left running of the slots."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

from bluegreen.errors import BluegreenError
from bluegreen.instances import instance_name, unit_keys
from bluegreen.model import ServiceUnit, Slot, SlotRecord, SlotState, UnitKey, UnitState
from bluegreen.operations.runtime import AppRuntime
from bluegreen.traffic.markers import Markers

log = logging.getLogger(__name__)

DEFAULT_STOP_TIMEOUT = 10.0  # seconds, for a service whose settings are gone


async def units_that_may_run(apps: Sequence[AppRuntime]) -> list[ServiceUnit]:
    """The units to be found again: all of every slot that the store does not call cold or empty.

    And of the one that serves, whatever a store says that was full once, or has clients in steps.
    """
    serving = await asyncio.to_thread(_serving, apps)
    asked = serving | await asyncio.to_thread(_led_to, apps)
    return [
        await _unit_or_notice(app, key)
        for app in apps
        for record in app.slots.values()
        if record.state in (SlotState.HOT, SlotState.STARTING) or (app.name, record.slot) in asked
        for service in record.services or tuple(app.settings.services)
        # An exclusive one where traffic is not any more is ended.
        if service not in app.exclusive(record.slot) or (app.name, record.slot) in serving
        for key in _instances(app, record, service)
    ]


def _instances(app: AppRuntime, record: SlotRecord, service: str) -> list[UnitKey]:
    """Those that it was started with, and those that a host which has booted may have added.

    Such a host starts the units that it has: those that the app file asks for by now.
    """
    settings = app.settings.services.get(service)
    started = record.services.get(service, 1)
    most = started if settings is None else max(started, settings.instances)
    return unit_keys(app.name, record.slot, {service: most})


async def count_instances(apps: Sequence[AppRuntime]) -> None:
    """What runs beside the instances that a slot was started with is of its release from now on."""
    for app in apps:
        status = app.parts.supervisor.status
        for record in app.slots.values():
            found = {
                service: sum(
                    key.instance <= number or status(key).state is not UnitState.STOPPED
                    for key in _instances(app, record, service)
                )
                for service, number in record.services.items()
            }
            if found != record.services:
                await app.keep_slot(replace(record, services=found))


def _serving(apps: Sequence[AppRuntime]) -> set[tuple[str, Slot]]:
    """The slots that the markers name, of apps that are in service."""
    markers = [(app.name, Markers(app.layout.traffic)) for app in apps]
    return {(app, slot) for app, each in markers if not each.closed for slot in each.present()}


def _led_to(apps: Sequence[AppRuntime]) -> set[tuple[str, Slot]]:
    """Those that some clients were led to: one that was refused with them there is called cold."""
    shares = [(app.name, Markers(app.layout.traffic).share) for app in apps]
    return {(app, share.slot) for app, share in shares if share is not None}


async def _unit_or_notice(app: AppRuntime, key: UnitKey) -> ServiceUnit:
    """The unit; where it cannot be known any more, one that lets what runs run, and else says so.

    A secret file that is gone, or a service that the app file no longer names, must not end a
    process that serves.
    """
    try:
        return await asyncio.to_thread(app.unit, key, app.slots[key.slot])
    except (BluegreenError, KeyError) as error:
        why = str(error) if isinstance(error, BluegreenError) else "the app file no longer names it"
        name = instance_name(key, app.instances(key.slot, key.service))
        message = f"{name} of {key.slot} runs on, and could not be started again: {why}"
        log.error("%s: %s", app.name, message, extra={"app": app.name})
        await app.parts.note(app.name, None, "warning", message=message)
        return ServiceUnit(
            key=key,
            argv=("/bin/sh", "-c", 'echo "bluegreen: $1" >&2; exit 78', "sh", message),
            cwd=app.layout.base,
            env={},
            stop_timeout=DEFAULT_STOP_TIMEOUT,
            log_file=app.layout.service_log(key.slot, key.place),
        )
