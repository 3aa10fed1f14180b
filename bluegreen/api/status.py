"""What is going on with an app: slots, health, the running operation, the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from bluegreen.api import documents
from bluegreen.api.checkups import Checkups
from bluegreen.api.views import hold_view, lock_view, switch_back_view
from bluegreen.errors import TrafficError
from bluegreen.model import PhaseState, Slot, UnitKey, UnitState
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.way_back import known_migrations, way_back, with_its_backup


async def app_status(desk: Desk, app: AppRuntime, checkups: Checkups | None) -> documents.AppState:
    """One app; with ``checkups`` also how healthy its running slots are."""
    return await _app_status(desk, app, checkups, await _silence_of_nginx(desk))


async def _silence_of_nginx(desk: Desk) -> TrafficError | None:
    """Why no traffic could be moved now."""
    try:
        await desk.parts.traffic.expect_nginx()
    except TrafficError as error:
        return error
    return None


async def _app_status(
    desk: Desk, app: AppRuntime, checkups: Checkups | None, silence: TrafficError | None
) -> documents.AppState:
    traffic = desk.parts.traffic.read(app.name)  # once: it may move while we look
    serving = None if traffic.closed else traffic.active
    slots: documents.BothSlots = {
        "blue": await _slot(app, Slot.BLUE, checkups, serves=serving is Slot.BLUE),
        "green": await _slot(app, Slot.GREEN, checkups, serves=serving is Slot.GREEN),
    }
    migrations = await known_migrations(app)
    lock = await desk.parts.store.lock(app.name)
    back = way_back(app, traffic, desk.running(app.name), silence, migrations)
    if traffic.active is not None:
        back = await with_its_backup(app, app.slots[traffic.active.other], back)
    return {
        "app": app.name,
        "active": traffic.active,
        "closed": traffic.closed,
        "held": None if traffic.held is None else hold_view(traffic.held),
        "slots": slots,
        "operation": _operation(desk, app),
        "lock": None if lock is None else lock_view(lock),
        "switch_back": switch_back_view(back),
        "replaces": {
            name: service.replaces
            for name, service in app.settings.services.items()
            if service.replaces is not None
        },
        "listen": list(app.settings.nginx.listen),
        "server_name": list(app.settings.nginx.server_name),
    }


async def _slot(
    app: AppRuntime, slot: Slot, checkups: Checkups | None, *, serves: bool
) -> documents.SlotContent:
    record = app.slots[slot]
    services: dict[str, documents.ServiceState] = {}
    for name in app.settings.services:
        status = app.parts.supervisor.status(UnitKey(app=app.name, slot=slot, service=name))
        services[name] = {
            "state": status.state,
            "pid": status.pid,
            "restarts": status.restarts,
            "last_exit": status.last_exit,
            "address": _address(app, slot, name),
        }
    running = any(s["state"] is UnitState.RUNNING for s in services.values())
    return {
        "state": record.state,
        "version": record.version,
        "commit": record.commit,
        "operation": record.operation,
        "hot_until": record.hot_until,
        "ready": app.is_ready(slot),
        "services": services,
        # What serves is ill where nothing of it runs.
        "health": await checkups.health(app, slot) if checkups and (running or serves) else None,
    }


def _address(app: AppRuntime, slot: Slot, service: str) -> str | None:
    address = app.settings.services[service].address(slot, app.layout.run)
    return None if address is None else str(address)


def _operation(desk: Desk, app: AppRuntime) -> documents.RunningOperation | None:
    run = desk.running(app.name)
    if run is None:
        return None
    phase = next(reversed(run.recorded), None)
    undoing = PhaseState.UNDOING in run.recorded.values()
    return {
        "id": run.operation.id,
        "kind": run.operation.kind,
        "version": run.operation.version,
        "slot": run.target,
        "phase": phase,
        "undoing": undoing,
        "since": run.operation.created_at,
        "waiting_for": run.waiting_for,
        "requested_by": run.operation.requested_by.name,
    }


async def daemon_status(
    desk: Desk, in_force: InForce, checkups: Checkups | None, only: Collection[str] | None = None
) -> documents.Apps:
    """Every app, or ``only`` some, and what is wrong with the configuration on disk.

    What is wrong is about all: of some apps, nothing is said of it.
    """
    silence = await _silence_of_nginx(desk)
    shown = [app for app in desk.apps.values() if only is None or app.name in only]
    apps = await asyncio.gather(*(_app_status(desk, app, checkups, silence) for app in shown))
    return {
        "apps": list(apps),
        "problems": [str(problem) for problem in in_force.problems] if only is None else [],
        "warnings": list(in_force.warnings) if only is None else [],
    }
