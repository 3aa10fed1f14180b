"""Watch: the new release has the traffic, and the old one waits until it has proved itself."""

from __future__ import annotations

import time
from typing import Any

from bluegreen.model import PhaseName
from bluegreen.operations.proof import gate_again
from bluegreen.operations.run import Run
from bluegreen.operations.watched import keep_watched, what_was_before

SLACK = 60.0  # seconds beyond the watch's own time


class Watch:
    """Probe for the configured time; what falls ill is switched back."""

    name = PhaseName.WATCH
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        ill = settings.watch.interval * settings.watch.failures  # until it is known to be
        return settings.gate.deadline + settings.watch.for_ + ill + SLACK

    def intent(self, run: Run) -> dict[str, Any]:
        run.watch_deadline = time.time() + run.app.settings.watch.for_
        before = what_was_before(run)
        return {
            "until": run.watch_deadline, "before": None if before is None else before.to_data(),
        }  # fmt: skip

    async def act(self, run: Run) -> dict[str, Any]:
        watch = run.app.settings.watch
        # The clock may have jumped while the daemon was away: never longer than configured.
        left = (run.watch_deadline or time.time()) - time.time()
        if watch.has_limits and watch.on_few == "fail":
            left = watch.for_  # what an earlier daemon has counted is gone
        # After a reboot it is only starting, which is no illness.
        await gate_again(run.app, run.target, run.logs, run.on_probe)
        await run.app.following.moved()
        told = await keep_watched(run, min(max(left, 0.0), watch.for_))
        return {"seconds": watch.for_, **told}

    async def undo(self, run: Run) -> bool:
        return True  # the way back is that of the switch
