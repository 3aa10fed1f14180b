"""Hold, drain, release: requests wait at nginx while one version makes room for the other.

For migrations that the old version cannot live with, and for apps of which two versions never run
at once. Until traffic has moved everything is undone: the data are put back, the old version is
started and gated, and the requests go on to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bluegreen.config.invariants import measuring_time
from bluegreen.errors import BluegreenError, RefusedError
from bluegreen.model import OperationKind, PhaseName, Slot, SlotRecord, SlotState
from bluegreen.operations.by_hand import Action, ByHand
from bluegreen.operations.holding import refuse_if_held, until_let_through
from bluegreen.operations.last_requests import all_read
from bluegreen.operations.of_data import data_phases
from bluegreen.operations.phases.backup import has_data
from bluegreen.operations.phases.measure import require_answers
from bluegreen.operations.phases.migrate import NotUndoneError
from bluegreen.operations.proof import start_again
from bluegreen.operations.putting_back import leave_as_they_are
from bluegreen.operations.run import Run
from bluegreen.operations.runtime import together
from bluegreen.operations.slot_records import record_from_data, record_to_data
from bluegreen.operations.unwritten import end_promise

LIMIT = 60.0  # seconds
AGAIN = 2.0  # seconds between attempts to start what is to serve again
TO_SWITCH = 6.0  # seconds from the last look at the time until nginx has confirmed a switch


def needs_hold(run: Run) -> bool:
    """Whether the version that serves has to end before the other may begin."""
    app = run.app
    if PhaseName.SWITCH in run.recorded:
        return False  # it has
    traffic = app.parts.traffic.read(app.name)
    if traffic.active is None or traffic.closed:
        return False  # nothing runs
    section, kind = app.settings.migrations, run.operation.kind
    if kind is OperationKind.MIGRATE:
        if traffic.held is not None:
            return False  # by hand, and who does that sees to it
    elif not app.settings.app.overlap:
        return True
    return section is not None and section.mode == "hold" and _changes_schema(run)


def _changes_schema(run: Run) -> bool:
    """Whether it has migrations to run or to undo, as far as that is known by now."""
    known, kind = run.migrating, run.operation.kind
    if kind is OperationKind.ROLLBACK:
        return known.came_after != ()
    if kind is OperationKind.MIGRATE:
        action = ByHand.parse(run.operation.version).action
        return action is Action.ROLLBACK or (action is Action.RUN and known.pending != ())
    return kind is OperationKind.DEPLOY and known.pending != ()


class HoldRequests:
    """From now on no request reaches a slot: they wait, and none fails.

    What would end it again, and can be found out before, is.
    """

    name = PhaseName.HOLD
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        return LIMIT + measuring_time(run.app.settings.gate.unchanged)

    def intent(self, run: Run) -> dict[str, Any] | None:
        if not needs_hold(run):
            return None
        return {}

    async def act(self, run: Run) -> dict[str, Any]:
        app, section = run.app, run.app.settings.hold
        self._require_time(run)
        await self._require_data(run)
        if run.operation.kind is not OperationKind.SWITCH:
            await require_answers(run, self.name)
        async with app.commit:
            if run.interruption is not None:
                raise asyncio.CancelledError
            refuse_if_held(app)  # since it was looked at
            if app.active is not run.origin:
                raise RefusedError(
                    f"{app.name}: traffic has moved since this operation began",
                    remedy=f"look again and repeat it: bluegreen status {app.name}",
                )
            hold = await app.parts.traffic.hold(
                app.settings, until=time.time() + section.limit,
                by=run.operation.requested_by.name, operation=run.operation.id,
            )  # fmt: skip
            run.forward_until = asyncio.get_running_loop().time() + section.forward
        await run.say(f"requests wait from now on, for {section.limit:g} s at the most")
        return {"until": hold.until}

    def _require_time(self, run: Run) -> None:
        """Raises RefusedError where the migrations alone take longer than there is."""
        took, section = run.migrating.rehearsed_seconds, run.app.settings.hold
        if took is not None and took >= section.forward:
            raise RefusedError(
                f"{run.app.name}: its migrations took {took:.1f} s in the rehearsal, and requests "
                f"may be held for {section.limit:g} s, a third of which is kept for the way back",
                remedy=f'allow more, such as limit = "{4 * took:.0f}s" in [hold] of its app file; '
                'or, if the old version can live with the new schema, mode = "online"',
            )

    async def _require_data(self, run: Run) -> None:
        """Raises RefusedError where its backup, which is its way back, would hold nothing."""
        kind, version, settings = run.operation.kind, run.operation.version, run.app.settings
        if PhaseName.BACKUP in data_phases(kind, version, settings) and _changes_schema(run):
            await has_data(run)

    async def undo(self, run: Run) -> bool:
        await let_through(run)
        return True


class Drain:
    """Both slots finish what they have, and stop: nothing of the app touches its data then."""

    name = PhaseName.DRAIN
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        stops = 2 * max(s.stop_timeout for s in run.app.settings.services.values())
        return LIMIT + stops + run.app.settings.hold.limit

    def intent(self, run: Run) -> dict[str, Any] | None:
        if PhaseName.HOLD not in run.recorded:
            return None
        run.drained = dict(run.app.slots)
        return {slot: record_to_data(record) for slot, record in run.drained.items()}

    async def act(self, run: Run) -> dict[str, Any]:
        app = run.app
        await app.stop_warming()
        if run.origin is not None:
            await all_read(app, run.origin)

        began = time.monotonic()
        await together(app.put_to_rest(slot, at_once=True) for slot in Slot)
        return {"seconds": round(time.monotonic() - began, 3)}

    async def undo(self, run: Run) -> bool:
        """The version that served serves again, through its gate."""
        app, origin = run.app, run.origin
        if origin is None or app.active is not origin:
            return True  # traffic has moved, and what it left was stopped for that
        if run.migrating.unrestored:
            await self._close(run)
        await end_promise(app.layout)
        try:
            if not app.is_proved(origin):
                await serve_again(run, run.drained.get(origin, app.slots[origin]))
        finally:
            # By what runs on other data than those of before, or could not put them back.
            if app.parts.traffic.read(app.name).closed:
                async with app.commit:
                    await app.set_closed(False, in_any_case=True)
        await self._warm_again(run, run.drained.get(origin.other))
        return True

    async def _warm_again(self, run: Run, beside: SlotRecord | None) -> None:
        """What was hot beside it is warmed up, by the caller."""
        if beside is None or not run.app.settings.app.overlap:
            return
        if beside.state is SlotState.HOT and run.app.slots[beside.slot].tree == beside.tree:
            await run.app.keep_slot(replace(beside, state=SlotState.STARTING, gated_by=None))

    async def _close(self, run: Run) -> None:
        """Nothing is started on data that are neither those of before nor known to be good."""
        app = run.app
        async with app.commit:
            await app.set_closed(True, in_any_case=True)
        raise NotUndoneError(
            f"{app.name} is out of service: {run.migrating.left[0]}",
            detail=run.migrating.left[1:],
            remedy=run.migrating.remedy or f"bluegreen status {app.name}",
        )


async def serve_again(run: Run, served: SlotRecord, *, then: str | None = None) -> None:
    """Start what was stopped, and gate it. Raises BluegreenError, with the run told what is left.

    As long as requests wait, they wait for one that does not come up at once, too. ``then``: what
    to do about one that does not, where it is not started again and again.
    """
    try:
        while True:
            try:
                return await start_again(run.app, served, run.logs, run.on_probe)
            except BluegreenError as error:
                if _time_left(run) <= AGAIN or run.daemon_ends:
                    raise
                said = f"{served.label} does not come up yet, and requests wait on"
                await run.note("warning", message=f"{said}: {error.message}")
            await asyncio.sleep(AGAIN)
    except BluegreenError as error:
        run.migrating.left = (f"{served.label} does not serve: {error.message}", *error.detail)
        run.migrating.remedy = then or (
            f"it is started again and again; see why it does not get well: bluegreen logs "
            f"{run.app.name}, and bluegreen status {run.app.name}"
        )
        raise


def _time_left(run: Run) -> float:
    """Seconds that the operation's requests may still wait; 0 where they do not."""
    held = run.app.parts.traffic.read(run.app.name).held
    if held is None or held.operation != run.operation.id:
        return 0.0
    return min(held.until - time.time(), run.app.settings.hold.limit)


class ReleaseRequests:
    """Those that wait go on, to the slot that serves now."""

    name = PhaseName.RELEASE
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return 2 * LIMIT

    def intent(self, run: Run) -> dict[str, Any] | None:
        return {} if PhaseName.HOLD in run.recorded else None

    async def act(self, run: Run) -> dict[str, Any]:
        held = await let_through(run)
        return {} if held is None else {"seconds": round(held, 3)}

    async def undo(self, run: Run) -> bool:
        return True


def require_time_to_switch(run: Run) -> None:
    """Raises RefusedError where the hold could be over before nginx has confirmed the switch.

    The new release would have visitors by then, whose writes a way back could not keep.
    """
    if run.forward_until is None:
        return
    section, now = run.app.settings.hold, asyncio.get_running_loop().time()
    left = run.forward_until - section.forward + section.limit - now
    if left < TO_SWITCH:
        raise RefusedError(
            f"{run.app.name}: its requests may wait for {left:.1f} s more, and that is too short "
            "for a switch",
            remedy="allow more with limit in [hold] of its app file",
        )


@contextlib.contextmanager
def traffic_may_move(run: Run) -> Iterator[None]:
    """Within it traffic moves to the target; what fails may have let visitors write there."""
    app, run.switched = run.app, True
    try:
        yield
    except BaseException:
        section, now = app.settings.hold, asyncio.get_running_loop().time()
        until = run.forward_until
        over = until is not None and now >= until - section.forward + section.limit
        run.switched = over or app.active is run.target
        if over and app.active is not run.target and run.migrating.backup is not None:
            leave_as_they_are(run, "visitors may have written since, and that would be lost")
        raise


async def let_through(run: Run) -> float | None:
    """Release what the operation holds; for how many seconds it was held, or None.

    Raises TrafficError with the requests still held. That nobody confirms it is a warning: the
    hold is over all the same.
    """
    app = run.app
    async with app.commit:
        held = app.parts.traffic.read(app.name).held
        if held is None or held.operation != run.operation.id:
            return None
        await app.parts.traffic.lift_hold(app.settings)
    for message in await until_let_through(app):
        await run.note("warning", message=message)
    return max(0.0, time.time() - held.since)


def drained_from(data: dict[str, Any]) -> dict[Slot, SlotRecord]:
    """What both slots held before, as the intent of the phase says it."""
    return {Slot(slot): record_from_data(record) for slot, record in data.items()}
