"""A plan as a JSON document."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from bluegreen.errors import BluegreenError
from bluegreen.model import SlotRecord
from bluegreen.operations.planning import Plan
from bluegreen.requirements.upgrade import Upgrade


def plan_view(plan: Plan) -> dict[str, Any]:
    """All of it; see docs/api.md."""
    comparison = plan.comparison
    release = None if comparison is None else comparison.release
    commits = None
    if comparison is not None:
        commits = {
            "added": asdict(comparison.added),
            "dropped": asdict(comparison.dropped),
            "unknown": comparison.unknown,
        }
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
        "warnings": [] if release is None else list(release.warnings),
        "findings": [_finding(error) for error in plan.findings],
        "phases": [asdict(time) for time in plan.times],
        "seconds": sum(time.seconds for time in plan.times) if plan.times else None,
        "deploys": plan.deploys,
        "migrations": None if plan.pending is None else asdict(plan.pending),
        "switch_back": asdict(plan.way_back),
        "hot_seconds": plan.hot,
        "command": plan.upgrade.command,
    }


def _held(record: SlotRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {"slot": record.slot, "version": record.version, "commit": record.commit}


def _rules(upgrade: Upgrade) -> list[dict[str, Any]]:
    rules = [(rule, True) for rule in upgrade.crossed]
    rules += [(rule, False) for rule in upgrade.perhaps_crossed]
    return [
        {"span": rule.span, "breaking": rule.breaking, "via": rule.via, "certain": certain}
        for rule, certain in rules
    ]


def _finding(error: BluegreenError) -> dict[str, Any]:
    return {
        "kind": error.kind, "message": error.message,
        "detail": list(error.detail), "remedy": error.remedy,
    }  # fmt: skip
