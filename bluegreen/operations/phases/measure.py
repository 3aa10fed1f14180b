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
from bluegreen.migrations.nouns import MigrationPlace
from bluegreen.model import OperationKind, PhaseName
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
            raise _unanswered(run, problems, self.name)
        for line in problems:  # a first release may well make its data itself
            await run.note("warning", message=f"not compared: {line}")
        run.measured = measured
        for one in measured:
            await run.say(f"{one.invariant.label}: {one.answer.shown}")
        return {"unchanged": _recorded(measured)}

    async def undo(self, run: Run) -> bool:
        return True


async def require_answers(run: Run, phase: PhaseName) -> None:
    """Ask the commands once before anybody waits; databases were, in the preflight.

    Only in the release's own tree can it be told what they answer. Raises GateError.
    """
    commands = [one for one in run.app.settings.gate.unchanged if one.command is not None]
    if not commands or run.origin is None:
        return
    answers = await _ask(run, commands, phase)
    pairs = zip(commands, answers, strict=True)
    found = [(one, why) for one, answer in pairs if (why := problem(one, answer)) is not None]
    if found:
        raise _unanswered(run, [f"{one.label}: {why}" for one, why in found], phase)


def _unanswered(run: Run, problems: Sequence[str], phase: PhaseName) -> GateError:
    return GateError(
        f"{run.app.name}: what is to stay unchanged could not be asked before the release",
        detail=problems,
        remedy="correct [[gate.unchanged]] of the app file, or see what was said: "
        f"bluegreen logs {run.app.name} {run.operation.id} --phase {phase}; nothing was touched",
    )


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
    backup = run.app.settings.backup
    copied = () if backup is None else backup.postgres
    asked = [
        one
        for one in run.app.settings.gate.unchanged
        if one.sqlite is not None or one.postgres in copied
    ]
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
    place, layout = _place(run), run.app.layout
    survey = Survey(
        settings=run.app.settings,
        layout=layout if copy is None else replace(layout, data=copy),
        jobs=run.app.parts.supervisor,
        slot=place.slot,
        version=place.version,
        tree=place.tree,
        operation=run.operation.id,
    )
    name = "still-unchanged" if once_more else "unchanged"
    return await survey.ask(invariants, run.logs / f"{phase}-{name}.log")


def _place(run: Run) -> MigrationPlace:
    """Where it is asked: the release's own tree, or that of what serves, of migrations by hand."""
    held = run.app.slots[run.target]
    if run.operation.kind is OperationKind.MIGRATE and held.tree is not None:
        return MigrationPlace(version=held.version or "", slot=held.slot, tree=held.tree)
    if run.release is None or run.tree is None:
        raise RuntimeError("invariants before fetch")
    return MigrationPlace(version=run.release.version, slot=run.target, tree=run.tree)


def _recorded(measured: Sequence[Measured], answers: Sequence[Answer] = ()) -> list[dict[str, str]]:
    before = [{"what": one.invariant.label, "before": one.answer.shown} for one in measured]
    after = [{"after": answer.shown} for answer in answers] or [{} for _ in measured]
    return [one | other for one, other in zip(before, after, strict=True)]


def _changed(run: Run, changed: Sequence[str]) -> GateError:
    app, version = run.app, _place(run).version
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
