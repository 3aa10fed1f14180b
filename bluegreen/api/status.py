"""What is going on with an app: slots, health, the running operation, the way back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from bluegreen.api.checkups import Checkups
from bluegreen.api.documents.apps import (
    AppState,
    BothSlots,
    Findings,
    InstanceState,
    ServiceState,
    SlotContent,
)
from bluegreen.api.documents.operations import RunningOperation
from bluegreen.api.queue import queue_view, unsettled_view
from bluegreen.api.views import hold_view, lock_view, promotion_view, switch_back_view
from bluegreen.errors import StoreError, TrafficError
from bluegreen.migrations.nouns import AppliedMigration
from bluegreen.model import AppLock, Pause, PhaseState, Slot, Traffic, UnitState
from bluegreen.operations.acceptance import InForce
from bluegreen.operations.desk import Desk
from bluegreen.operations.draining import UnseenError, connections
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.way_back import known_migrations, way_back, with_its_backup

_WORST_FIRST = (UnitState.BACKOFF, UnitState.STOPPED, UnitState.STOPPING, UnitState.RUNNING)


@dataclass(frozen=True)
class Known:
    """What is asked once, of however many apps."""

    silence: TrafficError | None  # why no traffic could be moved now
    locks: Mapping[str, AppLock]
    pauses: Mapping[str, Pause]  # of releases of triggers
    migrations: Mapping[str, Sequence[AppliedMigration]] | None  # None: the store cannot say it


async def ask(desk: Desk, app: str | None = None) -> Known:
    """Of one app, or of all."""
    store, silence = desk.parts.store, None
    try:
        await desk.parts.traffic.expect_nginx()
    except TrafficError as error:
        silence = error
    locks, pauses = await store.locks(), await store.waiting.pauses()
    try:
        if app is not None:
            return Known(silence, locks, pauses, {app: await store.migrations.latest(app)})
        return Known(silence, locks, pauses, await store.migrations.latest_by_app())
    except StoreError:
        return Known(silence, locks, pauses, None)


async def app_status(desk: Desk, app: AppRuntime, checkups: Checkups | None) -> AppState:
    """One app; with ``checkups`` also how healthy its running slots are."""
    known = await ask(desk, app.name)
    return await app_view(desk, app, desk.parts.traffic.read(app.name), known, checkups)


async def app_view(
    desk: Desk, app: AppRuntime, traffic: Traffic, known: Known, checkups: Checkups | None = None
) -> AppState:
    """The same; ``traffic`` was read once, as it may move while we look."""
    serving = None if traffic.closed else traffic.active
    slots: BothSlots = {
        "blue": await _slot(app, Slot.BLUE, checkups, serves=serving is Slot.BLUE),
        "green": await _slot(app, Slot.GREEN, checkups, serves=serving is Slot.GREEN),
    }
    migrations: Sequence[AppliedMigration] = ()
    if known.migrations is not None:
        migrations = await known_migrations(app, known.migrations.get(app.name, ()))
    lock = known.locks.get(app.name)
    back = way_back(app, traffic, desk.running(app.name), known.silence, migrations)
    if traffic.active is not None:
        back = await with_its_backup(app, app.slots[traffic.active.other], back)
    return {
        "app": app.name,
        "active": traffic.active,
        "closed": traffic.closed,
        "held": None if traffic.held is None else hold_view(traffic.held),
        "share": None
        if traffic.share is None
        else {
            "slot": traffic.share.slot,
            "percent": traffic.share.percent,
        },
        "slots": slots,
        "operation": _operation(desk, app),
        "queue": await queue_view(desk, app, known.pauses.get(app.name)),
        "unsettled": unsettled_view(desk, app),
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
) -> SlotContent:
    record = app.slots[slot]
    services: dict[str, ServiceState] = {}
    for name in app.settings.services:
        services[name] = _service(app, slot, name)
    status = app.parts.supervisor.status
    keys = app.unit_keys(slot, app.settings.services)
    running = any(status(key).state is UnitState.RUNNING for key in keys)
    asked = checkups is not None and running and not serves
    return {
        "state": record.state,
        "version": record.version,
        "commit": record.commit,
        "operation": record.operation,
        "hot_until": record.hot_until,
        "ready": app.is_ready(slot),
        "services": services,
        "connections": await _connections(app, slot) if asked else None,
        # What serves is ill where nothing of it runs.
        "health": await checkups.health(app, slot) if checkups and (running or serves) else None,
    }


def _service(app: AppRuntime, slot: Slot, name: str) -> ServiceState:
    """As a whole it is what the instance is that is worst off."""
    settings, each = app.settings.services[name], []
    for key in app.unit_keys(slot, [name]):
        status = app.parts.supervisor.status(key)
        address = settings.address(slot, app.layout.run, key.instance)
        instance: InstanceState = {
            "state": status.state,
            "pid": status.pid,
            "restarts": status.restarts,
            "last_exit": status.last_exit,
            "address": None if address is None else str(address),
        }
        each.append(instance)
    worst = min(each, key=lambda one: _WORST_FIRST.index(one["state"]))
    found: ServiceState = {
        "state": worst["state"],
        "pid": worst["pid"],
        "restarts": sum(one["restarts"] for one in each),
        "last_exit": worst["last_exit"],
        "address": each[0]["address"],
        "exclusive": name in app.exclusive(slot),
    }
    if len(each) > 1:
        found["instances"] = each
    return found


async def _connections(app: AppRuntime, slot: Slot) -> int | None:
    try:
        return await connections(app, slot)
    except UnseenError:
        return None


def _operation(desk: Desk, app: AppRuntime) -> RunningOperation | None:
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
        "since": run.operation.begun_at or run.operation.created_at,
        "waiting_for": run.waiting_for,
        "promotion": None if run.promotion is None else promotion_view(run.promotion),
        "requested_by": run.operation.requested_by.name,
    }


async def apps_status(
    desk: Desk, checkups: Checkups, only: Collection[str] | None
) -> list[AppState]:
    """Every app, or ``only`` some, with the health of their running slots."""
    known = await ask(desk)
    looks = (
        app_view(desk, app, desk.parts.traffic.read(app.name), known, checkups)
        for app in shown(desk, only)
    )
    return await asyncio.gather(*looks)


def shown(desk: Desk, only: Collection[str] | None) -> list[AppRuntime]:
    """All apps, or ``only`` some."""
    return [app for app in desk.apps.values() if only is None or app.name in only]


def findings_view(in_force: InForce, only: Collection[str] | None) -> Findings:
    """What is wrong on disk, which is about all apps: to whoever may see some, nothing is said."""
    return {
        "problems": [str(problem) for problem in in_force.problems] if only is None else [],
        "warnings": list(in_force.warnings) if only is None else [],
    }
