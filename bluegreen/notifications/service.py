"""All receivers of a daemon, each with its courier."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from bluegreen.config.load import Configuration
from bluegreen.errors import NotFoundError, RefusedError, StoreError
from bluegreen.notifications.courier import Courier, Surroundings
from bluegreen.notifications.receivers import receivers_of, unknown_apps
from bluegreen.processes import tell_if_failed

log = logging.getLogger(__name__)

PROCESSES = 2  # that start Apprise, at a time
LONG = 900.0  # seconds of failing, after which every status says so
MOST_COUNTED = 1000  # messages that wait
END_LIMIT = 5.0  # seconds that couriers are given to end


@dataclass(frozen=True)
class _Running:
    courier: Courier
    task: asyncio.Task[None]


class Notifications:
    """Tells receivers from tasks of their own. Nothing here keeps the daemon from its work."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._turns = asyncio.Semaphore(PROCESSES)
        self._running: dict[str, _Running] = {}
        self._unknown: list[str] = []

    async def take_up(self, configuration: Configuration) -> None:
        """Tell those that the files name now; those that are new, of what happens from now on."""
        wanted = receivers_of(configuration, self._turns)
        self._unknown = unknown_apps(configuration)
        ended = [
            self._running.pop(key)
            for key, running in list(self._running.items())
            if wanted.get(key) != running.courier.receiver
        ]
        await _end(ended)
        couriers = [
            Courier(receiver, self._around)
            for key, receiver in wanted.items()
            if key not in self._running
        ]
        try:
            await self._around.store.outbox.keep(wanted.keys())
            for courier in couriers:
                await courier.open()
        except StoreError as error:
            log.warning("receivers are not known yet: %s", error.message)
        for courier in couriers:
            task = asyncio.create_task(courier.run(), name=f"tells {courier.receiver.label}")
            task.add_done_callback(tell_if_failed)
            self._running[courier.receiver.key] = _Running(courier, task)

    async def close(self) -> None:
        """What is not told yet is told after the next start."""
        await _end(list(self._running.values()))
        self._running.clear()

    def warnings(self) -> tuple[str, ...]:
        """What an operator should know of, for every status."""
        now = self._around.now()
        found = [*self._unknown]
        for running in self._running.values():
            progress, label = running.courier.progress, running.courier.receiver.label
            if progress is None:
                continue
            if progress.gone_at is not None:
                found.append(
                    f"{label} has said that it wants to be told nothing more: remove it from its "
                    f"file, or once it does again: bluegreen notify test {label}"
                )
            elif progress.failing_since is not None and now - progress.failing_since > LONG:
                found.append(
                    f"{label} could not be told anything for {_span(now - progress.failing_since)}"
                    f": {progress.last_error}; see bluegreen notify list"
                )
        return tuple(found)

    async def overview(self) -> list[dict[str, Any]]:
        """One document a receiver, without anything secret. Raises StoreError."""
        return [await _view(running.courier) for running in self._running.values()]

    async def test(self, label: str | None) -> list[dict[str, Any]]:
        """Send a test to one receiver or all, at once. Raises NotFoundError, RefusedError."""
        couriers = [running.courier for running in self._running.values()]
        if not couriers:
            raise RefusedError(
                "there is no receiver",
                remedy="describe one: [[notify]] in bluegreen.toml, see docs/notifications.md of "
                "bluegreen",
            )
        chosen = [one for one in couriers if label is None or one.receiver.label == label]
        if not chosen:
            known = ", ".join(one.receiver.label for one in couriers)
            raise NotFoundError(
                f"there is no receiver {label}", remedy=f"name one of these: {known}"
            )
        answers = await asyncio.gather(*(courier.test() for courier in chosen))
        return [
            {
                "receiver": courier.receiver.label, "kind": courier.receiver.kind,
                "outcome": answer.outcome.value, "said": answer.said,
            }
            for courier, answer in zip(chosen, answers, strict=True)
        ]  # fmt: skip


async def _view(courier: Courier) -> dict[str, Any]:
    receiver, progress = courier.receiver, await courier.open()
    return {
        "receiver": receiver.label,
        "kind": receiver.kind,
        "apps": list(receiver.apps),
        "waiting": await courier.waiting(MOST_COUNTED),
        "since": progress.since,
        "delivered": progress.delivered,
        "dropped": progress.dropped,
        "last_success_at": progress.last_success_at,
        "last_error": progress.last_error,
        "last_error_at": progress.last_error_at,
        "failing_since": progress.failing_since,
        "retry_at": progress.retry_at,
        "gone_at": progress.gone_at,
    }


async def _end(running: list[_Running]) -> None:
    for one in running:
        one.task.cancel()
    if running:
        await asyncio.wait([one.task for one in running], timeout=END_LIMIT)


def _span(seconds: float) -> str:
    hours = seconds / 3600
    return f"{hours:.0f} h" if hours >= 1.5 else f"{seconds / 60:.0f} min"
