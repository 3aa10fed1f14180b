"""A plan as a JSON document."""

from __future__ import annotations

from bluegreen.api.documents import plans
from bluegreen.api.views import switch_back_view
from bluegreen.errors import BluegreenError
from bluegreen.model import SlotRecord
from bluegreen.operations.planning import Plan
from bluegreen.requirements.upgrade import Upgrade
from bluegreen.sources.comparison import Commits


def plan_view(plan: Plan) -> plans.Plan:
    """All of it; see docs/api.md."""
    comparison = plan.comparison
    release = None if comparison is None else comparison.release
    commits: plans.Comparison | None = None
    if comparison is not None:
        commits = {
            "added": _commits(comparison.added),
            "dropped": _commits(comparison.dropped),
            "unknown": comparison.unknown,
        }
    pending = plan.pending
    return {
        "app": plan.app,
        "version": plan.version,
        "commit": None if release is None else release.commit,
        "slot": plan.slot,
        "serving": _held(plan.serving),
        "replaced": _held(plan.replaced),
        "commits": commits,
        "rules": _rules(plan.upgrade),
        "acknowledge": plan.upgrade.to_acknowledge,
        "variables": list(plan.defaults),
        "warnings": [
            *(one for one in (plan.unbuilt, plan.failed_before) if one is not None),
            *(() if release is None else release.warnings),
        ],
        "findings": [_finding(error) for error in plan.findings],
        "phases": [{"phase": time.phase, "seconds": time.seconds} for time in plan.times],
        "seconds": sum(time.seconds for time in plan.times) if plan.times else None,
        "deploys": plan.deploys,
        "migrations": None if pending is None else {
            "names": None if pending.names is None else list(pending.names), "says": pending.says,
        },
        "switch_back": switch_back_view(plan.way_back),
        "promotion": {
            "deadline": plan.promote.deadline if plan.promote.mode == "manual" else None,
            "steps": list(plan.promote.steps),
            "pause": plan.promote.pause,
        },
        "hot_seconds": plan.hot,
        "command": plan.upgrade.command,
    }  # fmt: skip


def _commits(commits: Commits) -> plans.Commits:
    newest: list[plans.Commit] = [
        {"id": one.id, "at": one.at, "subject": one.subject} for one in commits.newest
    ]
    return {"count": commits.count, "newest": newest}


def _held(record: SlotRecord | None) -> plans.HeldRelease | None:
    if record is None:
        return None
    return {"slot": record.slot, "version": record.version, "commit": record.commit}


def _rules(upgrade: Upgrade) -> list[plans.Rule]:
    rules = [(rule, True) for rule in upgrade.crossed]
    rules += [(rule, False) for rule in upgrade.perhaps_crossed]
    return [
        {"span": rule.span, "breaking": rule.breaking, "via": rule.via, "certain": certain}
        for rule, certain in rules
    ]


def _finding(error: BluegreenError) -> plans.Finding:
    return {
        "kind": error.kind, "message": error.message,
        "detail": list(error.detail), "remedy": error.remedy,
    }  # fmt: skip
