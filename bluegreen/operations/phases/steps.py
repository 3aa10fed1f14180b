"""Steps: some clients go to the new slot, then more, while the others see that all is well."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bluegreen.errors import RefusedError
from bluegreen.model import OperationKind, PhaseName, PhaseState, Share
from bluegreen.operations.promoting import promotable, unless_promoted
from bluegreen.operations.proof import pass_again
from bluegreen.operations.run import Promotion, Run, Stepping
from bluegreen.operations.runtime import cold
from bluegreen.operations.watched import keep_watched, what_was_before

SLACK = 60.0  # seconds beyond the pauses, for each step


class Steps:
    """Lead the shares of clients that the app file names to the target slot, one after the other.

    Each is watched for its pause. Those who are led there stay, also over the switch; what falls
    ill has everybody back.
    """

    name = PhaseName.STEPS
    leaves_nothing = False

    def __init__(self) -> None:
        self._begins_now = False

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        ill = settings.watch.interval * settings.watch.failures  # until it is known to be
        steps = run.stepping or _as_configured(run)
        each = steps.pause + ill + SLACK
        return settings.gate.deadline + max(1, len(steps.percents)) * each

    def intent(self, run: Run) -> dict[str, Any] | None:
        if not takes_steps(run):
            return None
        run.go_on.clear()
        self._begins_now = True
        steps, before = _as_configured(run), what_was_before(run)
        run.stepping = steps
        return {
            "steps": steps.percents, "pause": steps.pause, "sticky": steps.sticky,
            "before": None if before is None else before.to_data(),
        }  # fmt: skip

    async def act(self, run: Run) -> dict[str, Any]:
        if not self._begins_now or PhaseName.PROMOTE in run.recorded:
            # A long time may have passed since it was gated, and a daemon.
            await pass_again(run.app, run.target, run.logs, run.on_probe)
        steps, reached = run.stepping or _as_configured(run), _share_now(run)
        for percent in steps.percents:
            if percent < reached:
                continue  # it had come further, in an earlier daemon
            await self._lead(run, percent)
            now = time.time()
            standing = Promotion(
                phase=self.name, since=now, until=now + steps.pause, slot=run.target,
                share=percent, steps=steps.percents,
            )  # fmt: skip
            await run.note("share", slot=run.target, percent=percent, until=standing.until)
            with promotable(run, standing):
                await unless_promoted(run, keep_watched(run, steps.pause))
            if run.recorded[self.name] is PhaseState.DONE:
                break
        return {}

    async def _lead(self, run: Run, percent: int) -> None:
        """So many clients to the target. Raises RefusedError, TrafficError."""
        app = run.app
        async with app.commit:
            if run.interruption is not None:
                raise asyncio.CancelledError
            if app.active is not run.origin or not app.is_running(run.target):
                raise RefusedError(
                    f"{app.name}: traffic has moved, or {run.target} does not run any more",
                    remedy=f"look again and repeat it: bluegreen status {app.name}",
                )
            run.switched = True  # from now on it may have been written to
            share = Share(slot=run.target, percent=percent)
            await app.parts.traffic.share(app.settings, share)

    async def undo(self, run: Run) -> bool:
        """Everybody is back, but for connections that stay until the slot is stopped."""
        async with run.app.commit:
            if run.app.parts.traffic.read(run.app.name).share is None:
                return True  # an operator's switch has ended it, or it had not begun
            try:
                warnings = await run.app.end_share()
            except BaseException:
                # What is left running was refused: nothing may warm it up, or end it under them.
                await run.app.keep_slot(cold(run.app.slots[run.target]))
                raise
            for message in warnings:
                await run.note("warning", message=message)
        await run.note("share", slot=run.target, percent=0, until=None)
        return True


def takes_steps(run: Run) -> bool:
    """Whether there are others than its own clients that could be parted from them."""
    if run.operation.kind is not OperationKind.DEPLOY or not run.app.settings.promote.steps:
        return False
    held = PhaseName.HOLD in run.recorded
    return (
        run.origin is not None and not held and not run.app.parts.traffic.read(run.app.name).closed
    )


def _as_configured(run: Run) -> Stepping:
    promote = run.app.settings.promote
    return Stepping(percents=promote.steps, pause=promote.pause, sticky=promote.sticky)


def _share_now(run: Run) -> int:
    share = run.app.parts.traffic.read(run.app.name).share
    return share.percent if share is not None and share.slot is run.target else 0


def goes_on(run: Run) -> bool:
    """Whether what an earlier daemon has left goes on; in steps, where clients are and it runs.

    Else everybody is led back, at once. So they are where the app file tells clients apart in
    another way since, or not at all: nginx would part them anew.
    """
    if run.stepping is None:
        return True
    promote = run.app.settings.promote
    if not promote.steps or promote.sticky != run.stepping.sticky:
        return False
    return _share_now(run) > 0 and run.app.is_running(run.target)
