"""How healthy the slots are, asked seldom: many apps count every request and refuse what is more.

A status that is watched asks every second, and several people may watch.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from bluegreen.api.documents.apps import SlotHealth
from bluegreen.config.questions import Probe
from bluegreen.errors import BluegreenError
from bluegreen.health.attempt import probe_once
from bluegreen.model import Slot
from bluegreen.operations.runtime import AppRuntime

KEPT = 10.0  # seconds that an answer is good for, while the same processes run
KEPT_ILL = 2.0  # seconds, of one that says they are not well: what has just started soon is
FORGOTTEN = 60.0  # seconds, for whoever asks for nothing
PROBE_LIMIT = 3.0  # seconds for all probes of a slot


@dataclass(frozen=True)
class _Checkup:
    subject: object  # what was probed: once it is another, the answer says nothing any more
    ended: float  # by the monotonic clock
    health: SlotHealth


class Checkups:
    """The last answers of each slot's probes. Commands are never run: they may cost anything."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, Slot], _Checkup] = {}
        self._turns: defaultdict[tuple[str, Slot], asyncio.Lock] = defaultdict(asyncio.Lock)

    def known(self, app: AppRuntime, slot: Slot) -> SlotHealth | None:
        """The last answer of what runs now, of the last minute; nothing is asked."""
        last = self._last.get((app.name, slot))
        if last is None or time.monotonic() - last.ended > FORGOTTEN:
            return None
        if last.subject != _subject(app, slot, _asked(app)) or app.is_paused(slot):
            return None
        return last.health

    def is_due(self, app: AppRuntime, slot: Slot) -> bool:
        """Whether `health` would ask."""
        probes = _asked(app)
        if not probes or self._is_good(app, slot, _subject(app, slot, probes)):
            return False
        return not app.is_paused(slot)

    async def health(self, app: AppRuntime, slot: Slot) -> SlotHealth | None:
        """``{"healthy", "failing"}``, `KEPT` seconds old at most; None if nothing can be asked.

        Nor is a slot that an operation has stopped for its hold.
        """
        probes = _asked(app)
        if not probes or app.is_paused(slot):
            return None
        place = app.name, slot
        async with self._turns[place]:  # who asks meanwhile gets the same answer
            subject = _subject(app, slot, probes)
            if not self._is_good(app, slot, subject):
                health = await _probe(app, slot, probes)
                self._last[place] = _Checkup(subject, time.monotonic(), health)
        return self._last[place].health

    def _is_good(self, app: AppRuntime, slot: Slot, subject: object) -> bool:
        last = self._last.get((app.name, slot))
        if last is None or last.subject != subject:
            return False
        kept = KEPT if last.health["healthy"] else KEPT_ILL
        return time.monotonic() - last.ended <= kept


def _asked(app: AppRuntime) -> list[Probe]:
    return [probe for probe in app.settings.gate.probes if probe.command is None]


def _subject(app: AppRuntime, slot: Slot, probes: Sequence[Probe]) -> object:
    keys, record = app.unit_keys(slot, app.settings.services), app.slots[slot]
    pids = [app.parts.supervisor.status(key).pid for key in keys]
    # What was answered on the way through its gate is outdated once it has passed.
    return record.operation, record.gated_by, pids, probes


async def _probe(app: AppRuntime, slot: Slot, probes: Sequence[Probe]) -> SlotHealth:
    try:
        async with asyncio.timeout(PROBE_LIMIT):
            operation = app.slots[slot].operation or 0
            target = await asyncio.to_thread(app.target, slot, app.layout.operation_logs(operation))
            results = await asyncio.gather(
                *(
                    probe_once(target, probe, key=key)
                    for probe in probes
                    for key in target.view.keys(probe.service)
                )
            )
    except TimeoutError:
        return {"healthy": False, "failing": [f"no answer within {PROBE_LIMIT:g} s"]}
    except BluegreenError as error:
        return {"healthy": False, "failing": [error.message]}
    failing = [f"{r.service} {r.probe}: {r.answer}" for r in results if not r.passed]
    return {"healthy": not failing, "failing": failing}
