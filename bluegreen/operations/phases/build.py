"""Build: the configured steps, in the new tree, while the idle slot still runs what it ran."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from bluegreen.model import PhaseName, Release
from bluegreen.operations.run import Run
from bluegreen.slots.assets import LIMIT

SLACK = 120.0  # seconds for what is not a step: stamping and flushing the tree
WAIT_LIMIT = 3600.0  # seconds to wait for a free build place


class Build:
    """Run every build step, then stamp the tree as good."""

    name = PhaseName.BUILD
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        settings = run.app.settings
        assets = LIMIT if settings.assets else 0.0
        return WAIT_LIMIT + SLACK + assets + sum(step.timeout for step in settings.build)

    def intent(self, run: Run) -> dict[str, Any]:
        return {"tree": str(run.tree), "steps": [step.name for step in run.app.settings.build]}

    async def act(self, run: Run) -> dict[str, Any]:
        release, tree, trees = run.release, run.tree, run.app.trees
        if release is None or tree is None:
            raise RuntimeError("build before fetch")
        if trees.info(tree) is not None:
            return {"reused": str(tree)}
        async with self._place(run):
            await self._build(run, release)
        info = await trees.complete(release, tree, run.target, run.operation.id)
        return {"tree": str(tree), "bytes": info.bytes}

    @contextlib.asynccontextmanager
    async def _place(self, run: Run) -> AsyncIterator[None]:
        """One of the places for builds on this host."""
        places = run.app.parts.builds
        if places.locked():
            run.waiting_for = "a free build place"
            await run.note("output", message=f"waiting for {run.waiting_for}")
        try:
            await places.acquire()
        finally:
            run.waiting_for = None
        try:
            yield
        finally:
            places.release()

    async def _build(self, run: Run, release: Release) -> None:
        async def on_step(step: str, state: str) -> None:
            await run.note("step", phase=self.name, step=step, state=state)

        if run.tree is not None:
            await run.app.trees.build(release, run.tree, run.target, logs=run.logs, on_step=on_step)

    async def undo(self, run: Run) -> bool:
        return True  # without a stamp the tree counts for nothing; the log stays
