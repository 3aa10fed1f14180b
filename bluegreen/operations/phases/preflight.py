"""Preflight: what can be found out before anything is touched."""

from __future__ import annotations

import asyncio
from typing import Any

from bluegreen.config.invariants import measuring_time
from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.findings import all_of, look
from bluegreen.operations.reversing import came_after, unmet_reversal
from bluegreen.operations.run import Run
from bluegreen.requirements.candidate import Candidate
from bluegreen.requirements.upgrade import Upgrade
from bluegreen.requirements.variables import new_defaults

LIMIT = 60.0  # seconds


class Preflight:
    """What the release needs of its host and its predecessor; all that is missing, at once."""

    name = PhaseName.PREFLIGHT
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return LIMIT + measuring_time(run.app.settings.gate.unchanged)

    def intent(self, run: Run) -> dict[str, Any]:
        return {"slot": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        app, candidate = run.app, _candidate(run)
        upgrade = _upgrade(run)
        restores = run.operation.backup is not None
        looked = await look(app, candidate, run.operation.kind, restores=restores)
        found = looked.found
        if upgrade is not None:
            found += upgrade.unmet()
        if run.operation.kind is OperationKind.ROLLBACK and not restores:
            came = await came_after(app, candidate.version, run.pinned_commit)
            run.migrating.came_after = tuple(one.name for one in came)
            found += await unmet_reversal(app, candidate.version, run.pinned_commit, run.origin)
        if found:
            raise all_of(found, app.name, f"{run.operation.version} from being released")
        data = {"free_bytes": looked.free, "needed_bytes": looked.needed}
        return data if upgrade is None else data | await _announce(run, candidate, upgrade)

    async def undo(self, run: Run) -> bool:
        return True


def _candidate(run: Run) -> Candidate:
    app = run.app
    return Candidate(
        settings=app.settings, layout=app.layout, slot=run.target,
        version=run.operation.version or "", tree=app.trees.path(run.operation.id, run.target),
        operation=run.operation.id, logs=run.logs, jobs=app.parts.supervisor,
        remedies=app.parts.layout.remedies,
    )  # fmt: skip


def _upgrade(run: Run) -> Upgrade | None:
    """What a deploy means for ``[[upgrade]]`` and ``upgrade_from``; None for a way back."""
    if run.operation.kind is not OperationKind.DEPLOY:
        return None
    return Upgrade(
        settings=run.app.settings,
        active=None if run.origin is None else run.app.slots[run.origin].version,
        version=run.operation.version or "",
        acknowledged=run.operation.acknowledged,
        forced=run.operation.forced,
    )


async def _announce(run: Run, candidate: Candidate, upgrade: Upgrade) -> dict[str, Any]:
    """Show what the upgrade brings; returns what is recorded of it."""
    by, passed = run.operation.requested_by.name, upgrade.passed()
    for refusal in passed:
        await run.note("warning", message=f"forced by {by}: {refusal.message}")
    if upgrade.forced and not passed:
        await run.note("warning", message="--force: nothing in this deploy asks for that")
    for rule in upgrade.crossed:
        said = "" if rule.breaking is None else f": {rule.breaking} (acknowledged by {by})"
        await run.note("output", message=f"upgrade rule {rule.span}{said}")
    if upgrade.perhaps_crossed or (run.app.settings.upgrade and upgrade.is_unversioned):
        await run.note(
            "warning",
            message=f"{candidate.version} over {upgrade.active or 'nothing'}: one of them has no "
            "version, so that [[upgrade]] rules are not applied",
        )
    for text in upgrade.idle_acknowledgements:
        await run.note("warning", message=f'--ack "{text}": nothing in this deploy asks for that')
    for line in await asyncio.to_thread(new_defaults, candidate, upgrade.active):
        await run.note("output", message=line)
    return {
        "crossed": [rule.span for rule in upgrade.crossed],
        "acknowledged": upgrade.acknowledgements,
        "forced": [refusal.message for refusal in passed],
    }
