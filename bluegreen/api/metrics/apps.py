"""Of every app: its slots and services, what holds it, and what waits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from bluegreen.api.metrics.families import Families, counter, gauge, histogram
from bluegreen.errors import TrafficError
from bluegreen.model import AppLock, Pause, Slot, SlotState, Traffic, UnitState
from bluegreen.operations.desk import Desk
from bluegreen.operations.runtime import AppRuntime

AT_ONCE = 10  # apps, some milliseconds: whoever asks for a switch then has its turn


class _Slots:
    """What the slots of apps hold, and whether their services run."""

    def __init__(self) -> None:
        self.active = gauge(
            "slot_active", "Whether an app's traffic goes to the slot", "app", "slot"
        )
        self.clients = gauge(
            "slot_clients_ratio", "Which share of an app's clients goes to the slot", "app", "slot"
        )
        self.ready = gauge(
            "slot_ready", "Whether traffic could go to the slot this instant", "app", "slot"
        )
        self.state = gauge("slot_state", "Which state a slot is in", "app", "slot", "state")
        self.release = gauge(
            "slot_release_info", "Which release a slot holds", "app", "slot", "version", "commit"
        )
        self.running = gauge(
            "service_running",
            "Whether all instances of a service of a slot run",
            "app",
            "slot",
            "service",
        )
        self.restarts = gauge(
            "service_restarts", "How often its instances were restarted since they were started",
            "app", "slot", "service",
        )  # fmt: skip

    def add(self, app: AppRuntime, slot: Slot, traffic: Traffic) -> None:
        name, record = app.name, app.slots[slot]
        self.active.add_metric([name, slot], slot is traffic.active and not traffic.closed)
        self.clients.add_metric([name, slot], _clients(slot, traffic))
        self.ready.add_metric([name, slot], app.is_ready(slot))
        for state in SlotState:
            self.state.add_metric([name, slot, state], record.state is state)
        if record.version is not None:
            self.release.add_metric([name, slot, record.version, record.commit or ""], 1)
        is_idle = slot is not traffic.active or traffic.closed
        if is_idle and record.state in (SlotState.EMPTY, SlotState.COLD):
            return  # nothing is meant to run
        # Not of what the app file names since the release was started.
        for service in app.gated_services(slot) if is_idle else app.services(slot):
            status, labels = app.parts.supervisor.status, [name, slot, service]
            each = [status(key) for key in app.unit_keys(slot, [service])]
            self.running.add_metric(labels, all(one.state is UnitState.RUNNING for one in each))
            self.restarts.add_metric(labels, sum(one.restarts for one in each))

    def families(self) -> Families:
        return [
            self.active, self.clients, self.ready, self.state, self.release, self.running,
            self.restarts,
        ]  # fmt: skip


def _clients(slot: Slot, traffic: Traffic) -> float:
    """Which share of them nginx leads to the slot, from 0 to 1."""
    if traffic.active is None or traffic.closed:
        return 0.0
    share = traffic.share
    away = share.percent if share is not None and share.slot is not traffic.active else 0
    return (100 - away if slot is traffic.active else away) / 100


class _Doings:
    """What is being done to apps, and what keeps it from being done."""

    def __init__(self) -> None:
        self.closed = gauge("app_closed", "Whether an app is out of service", "app")
        self.held = gauge("app_held", "Whether an app's new requests wait", "app")
        self.locked = gauge("app_locked", "Whether an app refuses deploys", "app")
        self.paused = gauge(
            "queue_paused", "Whether releases of triggers wait for a person's resume", "app"
        )
        self.since = gauge("hold_started_timestamp_seconds", "Since when requests are held", "app")
        self.until = gauge("hold_ends_timestamp_seconds", "Until when they are at most", "app")
        self.waiting = gauge("held_requests", "How many requests wait", "app")
        self.queue = gauge("queue_length", "How many releases of triggers wait", "app")
        self.oldest = gauge(
            "queue_oldest_timestamp_seconds", "Since when the first of them waits", "app"
        )
        self.running = gauge(
            "operation_started_timestamp_seconds", "Since when an operation runs", "app", "kind"
        )
        self.unsettled = gauge(
            "operations_unsettled", "Operations that could not be finished or undone yet", "app"
        )

    def add(self, desk: Desk, app: AppRuntime, traffic: Traffic) -> None:
        labels = [app.name]
        self.closed.add_metric(labels, traffic.closed and traffic.active is not None)
        self.held.add_metric(labels, traffic.held is not None)
        if traffic.held is not None:
            self.since.add_metric(labels, traffic.held.since)
            self.until.add_metric(labels, traffic.held.until)
        waiting = desk.waiting.of(app.name)
        self.queue.add_metric(labels, len(waiting))
        if waiting:
            self.oldest.add_metric(labels, min(one.created_at for one in waiting))
        if (run := desk.running(app.name)) is not None:
            operation = run.operation
            began = operation.begun_at or operation.created_at
            self.running.add_metric([app.name, operation.kind], began)
        self.unsettled.add_metric(labels, len(desk.unsettled.of(app.name)))

    def families(self) -> Families:
        return [
            self.closed, self.held, self.locked, self.paused, self.since, self.until,
            self.waiting, self.queue, self.oldest, self.running, self.unsettled,
        ]  # fmt: skip

    def add_stored(
        self, app: str, locks: Mapping[str, AppLock], pauses: Mapping[str, Pause]
    ) -> None:
        self.locked.add_metric([app], app in locks)
        self.paused.add_metric([app], app in pauses)


async def app_families(desk: Desk, shown: Sequence[AppRuntime], *, store: bool) -> Families:
    """Of the apps that are ``shown``; what the store knows is left out unless it answers."""
    slots, doings = _Slots(), _Doings()
    for number, app in enumerate(shown, 1):
        traffic = desk.parts.traffic.read(app.name)
        for slot in Slot:
            slots.add(app, slot, traffic)
        doings.add(desk, app, traffic)
        if traffic.held is not None:
            await _add_waiting(desk, app, doings.waiting)
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
    if store:
        locks = await desk.parts.store.locks()
        pauses = await desk.parts.store.waiting.pauses()
        for app in shown:
            doings.add_stored(app.name, locks, pauses)
    names = {app.name for app in shown}
    held = histogram(
        "hold_seconds", "For how long requests were held, of each hold that is over", "app",
        of=[((n,), one) for n, one in desk.parts.traffic.held_for.items() if n in names],
    )  # fmt: skip
    return [*slots.families(), *doings.families(), held]


async def _add_waiting(desk: Desk, app: AppRuntime, family: Any) -> None:
    """How many wait is asked of the gate; without an answer nothing is said."""
    try:
        family.add_metric([app.name], await desk.parts.traffic.waiting(app.name))
    except TrafficError:
        return


def delivery_families(
    shown: Sequence[AppRuntime], decided: Mapping[tuple[str, str], int], refused: Mapping[str, int]
) -> Families:
    """What became of deliveries of webhooks since the daemon was started."""
    family = counter(
        "webhook_deliveries", "What became of deliveries of webhooks since the start",
        "app", "result",
    )  # fmt: skip
    names = {app.name for app in shown}
    for app in shown:
        if app.settings.webhook:
            family.add_metric([app.name, "refused"], refused.get(app.name, 0))
    for (name, result), count in sorted(decided.items()):
        if name in names:
            family.add_metric([name, result], count)
    return [family]
