"""Promote: a release that could serve waits for a person who says that it shall."""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

from bluegreen.errors import BluegreenError
from bluegreen.health.watch import keep_watch
from bluegreen.model import PhaseName, PhaseState
from bluegreen.operations.phases.hold import needs_hold
from bluegreen.operations.promoting import promotable, unless_promoted, waits_for_a_person
from bluegreen.operations.proof import pass_again
from bluegreen.operations.run import Promotion, Run

SLACK = 60.0  # seconds beyond the deadline, and a gate


class NotPromotedError(BluegreenError):
    """Nobody has let the release go on in time."""

    kind: ClassVar[str] = "not-promoted"


class Promote:
    """Wait until a person promotes the release, which goes on being probed.

    Where requests are to be held for it, it waits before that, while it is only built: nobody is
    kept waiting for a person.
    """

    name = PhaseName.PROMOTE
    leaves_nothing = True

    def __init__(self, *, before_hold: bool) -> None:
        self.before_hold = before_hold
        self._begins_now = False

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        return settings.promote.deadline + 2 * settings.gate.deadline + SLACK

    def intent(self, run: Run) -> dict[str, Any] | None:
        if not waits_for_a_person(run) or needs_hold(run) is not self.before_hold:
            return None
        self._begins_now = True
        run.promote_until = time.time() + run.app.settings.promote.deadline
        return {"until": run.promote_until, "before_hold": self.before_hold}

    async def act(self, run: Run) -> dict[str, Any]:
        deadline, now = run.app.settings.promote.deadline, time.time()
        until = run.promote_until or now
        # The clock may have jumped while the daemon was away: never longer than configured.
        left = min(max(until - now, 0.0), deadline)
        standing = Promotion(
            phase=self.name, since=until - deadline, until=until,
            slot=None if self.before_hold else run.target, steps=run.app.settings.promote.steps,
        )  # fmt: skip
        with promotable(run, standing):
            if self._begins_now:
                await run.note(
                    "promotion", state="waiting", version=run.operation.version,
                    slot=run.target, until=until,
                )  # fmt: skip
            waiting = asyncio.sleep(left) if self.before_hold else self._watch(run, left)
            await unless_promoted(run, waiting)
            async with run.app.commit:  # in which it is promoted, or is not any more
                if run.recorded[self.name] is PhaseState.DONE:
                    return {}
                run.promotion = None
        version, app = run.operation.version, run.app.name
        raise NotPromotedError(
            f"{app}: nobody promoted {version} within {deadline:g} s",
            remedy=f"deploy it again: bluegreen deploy {app} {version}; for how long it waits, "
            "deadline in [promote] of its app file says",
        )

    async def _watch(self, run: Run, seconds: float) -> None:
        """Raises GateError as soon as the release is ill."""
        if not self._begins_now:
            # After a reboot it was started anew, and nobody has looked at it meanwhile.
            await pass_again(run.app, run.target, run.logs, run.on_probe)
        app, watch = run.app, run.app.settings.watch
        target = await asyncio.to_thread(app.target, run.target, run.logs)
        probes = app.settings.watch_probes
        await keep_watch(target, watch, probes, seconds=seconds, on_result=run.on_probe)

    async def undo(self, run: Run) -> bool:
        return True


def has_waited_elsewhere(phase: object, run: Run) -> bool:
    """Of the two places at which it may wait: whether ``phase`` is the one at which it did not."""
    if not isinstance(phase, Promote) or PhaseName.PROMOTE not in run.recorded:
        return False
    return phase.before_hold is (PhaseName.GATE in run.recorded)
