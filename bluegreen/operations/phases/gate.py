"""Gate: the new release answers well, for long enough and through nginx too, before it gets any
traffic."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from bluegreen.config.invariants import measuring_time
from bluegreen.health.gate import pass_gate
from bluegreen.health.smoke import pass_smoke
from bluegreen.model import OperationKind, PhaseName, SlotState
from bluegreen.operations.migrating import record_what_started
from bluegreen.operations.phases.measure import require_unchanged
from bluegreen.operations.run import Run
from bluegreen.operations.through_nginx import pass_through_nginx, time_through_nginx

SLACK = 30.0  # seconds beyond the gate's own deadline


class Gate:
    """Pass every probe and the smoke scenario, and change no invariant; then the slot is hot."""

    name = PhaseName.GATE
    leaves_nothing = False

    def limit(self, run: Run) -> float:
        gate = run.app.settings.gate
        smoke = sum(step.timeout for step in gate.smoke)
        through = time_through_nginx(gate) if _is_new(run) else 0.0
        return gate.deadline + smoke + through + measuring_time(gate.unchanged) + SLACK

    def intent(self, run: Run) -> dict[str, Any] | None:
        return {"deadline_seconds": run.app.settings.gate.deadline}

    async def act(self, run: Run) -> dict[str, Any]:
        app, slot = run.app, run.target
        target = await asyncio.to_thread(app.target, slot, run.logs)
        gate = app.settings.gate
        # Nobody is kept waiting for it to stay well: that is what the watch is for.
        healthy_for = 0.0 if PhaseName.HOLD in run.recorded else run.gate_seconds
        await pass_gate(target, gate, healthy_for=healthy_for, on_result=run.on_probe)
        through = {}
        kind = run.operation.kind
        # What has served before, on such a schema, is not kept waiting by it.
        if kind.is_release or kind is OperationKind.MIGRATE:
            await pass_smoke(target, gate.smoke, on_result=run.on_probe)
        if _is_new(run):
            through = {"nginx": await pass_through_nginx(run, target)}
        unchanged = await require_unchanged(run)
        applied = await record_what_started(run)
        app.has_passed_gate(slot)
        data = {"probes": len(gate.probes), "smoke": len(gate.smoke), "unchanged": unchanged}
        return data | through | ({"applied": applied} if applied else {})

    async def undo(self, run: Run) -> bool:
        record = run.app.slots[run.target]
        if record.gated_by == run.operation.id:
            await run.app.keep_slot(replace(record, state=SlotState.STARTING, gated_by=None))
        return True


def _is_new(run: Run) -> bool:
    """Whether it may never have served: only that is asked through nginx too, before it does."""
    return run.operation.kind is OperationKind.DEPLOY
