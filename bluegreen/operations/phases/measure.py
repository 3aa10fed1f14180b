"""Measure: what the release must leave as it is, before it starts; and again after its gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bluegreen.config.invariants import Invariant, measuring_time
from bluegreen.errors import GateError
from bluegreen.invariants.answering import Answer
from bluegreen.invariants.comparison import Measured, difference, problem
from bluegreen.invariants.measuring import Survey
from bluegreen.model import PhaseName
from bluegreen.operations.run import Run


class Measure:
    """Ask what ``[[gate.unchanged]]`` names, if it names anything."""

    name = PhaseName.MEASURE
    leaves_nothing = True

    def limit(self, run: Run) -> float:
        return 2 * measuring_time(run.app.settings.gate.unchanged)

    def intent(self, run: Run) -> dict[str, Any] | None:
        invariants = run.app.settings.gate.unchanged
        return {"invariants": len(invariants)} if invariants else None

    async def act(self, run: Run) -> dict[str, Any]:
        invariants = run.app.settings.gate.unchanged
        answers = await _ask(run, invariants, self.name)
        measured, problems = [], []
        for invariant, answer in zip(invariants, answers, strict=True):
            if (why := problem(invariant, answer)) is None:
                measured.append(Measured(invariant=invariant, answer=answer))
            else:
                problems.append(f"{invariant.label}: {why}")
        if problems and run.origin is not None:
            raise GateError(
                f"{run.app.name}: what is to stay unchanged could not be asked before the release",
                detail=problems,
                remedy="correct [[gate.unchanged]] of the app file, or see what was said: "
                f"bluegreen logs {run.app.name} {run.operation.id} --phase {self.name}; nothing "
                "was touched",
            )
        for line in problems:  # a first release may well make its data itself
            await run.note("warning", message=f"not compared: {line}")
        run.measured = measured
        for one in measured:
            await run.say(f"{one.invariant.label}: {one.answer.shown}")
        return {"unchanged": _recorded(measured)}

    async def undo(self, run: Run) -> bool:
        return True


async def require_unchanged(run: Run) -> list[dict[str, str]]:
    """Ask again; what the history keeps of it. Raises GateError for what is not as it was."""
    if not run.measured:
        return []
    answers = await _ask(run, [one.invariant for one in run.measured], PhaseName.GATE)
    pairs = list(zip(run.measured, answers, strict=True))
    changed = [line for one, after in pairs if (line := difference(one, after)) is not None]
    if changed:
        raise _changed(run, changed)
    for one, after in pairs:
        grown = "" if after.shown == one.answer.shown else f", after {one.answer.shown}"
        await run.say(f"{one.invariant.label}: {after.shown}{grown}")
    return _recorded(run.measured, answers)


async def measured_on(run: Run, copy: Path) -> list[Measured]:
    """What the databases of a rehearsal answer before it, of those that are in its ``copy``."""
    asked = [one for one in run.app.settings.gate.unchanged if one.sqlite is not None]
    if not asked:
        return []
    answers = await _ask(run, asked, PhaseName.REHEARSE, copy=copy)
    return [
        Measured(invariant=invariant, answer=answer)
        for invariant, answer in zip(asked, answers, strict=True)
        if problem(invariant, answer) is None
    ]


async def require_unchanged_on(run: Run, measured: Sequence[Measured], copy: Path) -> None:
    """Raises GateError for what is not as it was: nobody but the migrations has written there."""
    if not measured:
        return
    invariants = [one.invariant for one in measured]
    answers = await _ask(run, invariants, PhaseName.REHEARSE, copy=copy, once_more=True)
    pairs = zip(measured, answers, strict=True)
    changed = [line for one, after in pairs if (line := difference(one, after)) is not None]
    if changed:
        raise GateError(
            f"{run.app.name}: in the rehearsal, what is to stay unchanged has changed: "
            f"{changed[0]}",
            detail=changed[1:],
            remedy="correct the migrations, or [[gate.unchanged]] where they are right; the data "
            "were not touched",
        )


async def _ask(
    run: Run,
    invariants: Sequence[Invariant],
    phase: PhaseName,
    *,
    copy: Path | None = None,
    once_more: bool = False,
) -> list[Answer]:
    """Of the data, or of the ``copy`` of a rehearsal. Each time has a log of its own."""
    if run.release is None or run.tree is None:
        raise RuntimeError(f"{phase} before fetch")
    layout = run.app.layout
    survey = Survey(
        settings=run.app.settings,
        layout=layout if copy is None else replace(layout, data=copy),
        jobs=run.app.parts.supervisor,
        slot=run.target,
        version=run.release.version,
        tree=run.tree,
        operation=run.operation.id,
    )
    name = "still-unchanged" if once_more else "unchanged"
    return await survey.ask(invariants, run.logs / f"{phase}-{name}.log")


def _recorded(measured: Sequence[Measured], answers: Sequence[Answer] = ()) -> list[dict[str, str]]:
    before = [{"what": one.invariant.label, "before": one.answer.shown} for one in measured]
    after = [{"after": answer.shown} for answer in answers] or [{} for _ in measured]
    return [one | other for one, other in zip(before, after, strict=True)]


def _changed(run: Run, changed: Sequence[str]) -> GateError:
    app, version = run.app, "" if run.release is None else run.release.version
    backups = f" (what it has changed is in bluegreen backup list {app.name})"
    return GateError(
        f"{app.name} {version} in {run.target}: what is to stay unchanged has changed: "
        f"{changed[0]}",
        detail=changed[1:],
        remedy="Nothing was switched. See what the release does to the data as it starts"
        + (backups if app.settings.backup is not None else "")
        + "; if it was users who wrote meanwhile, ask in [[gate.unchanged]] for what they do not "
        'change, or write allow = "more" for a count that only grows',
    )
