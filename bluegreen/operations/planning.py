"""What a deploy would do, and what is in its way: found out beside whatever else is done."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.promote_section import Promote
from bluegreen.config.settings import AppSettings
from bluegreen.errors import BluegreenError, LockedError, SourceError
from bluegreen.model import (
    OperationKind,
    PhaseName,
    PhaseRecord,
    PhaseState,
    Slot,
    SlotRecord,
    SlotState,
)
from bluegreen.operations.desk import Desk
from bluegreen.operations.findings import look
from bluegreen.operations.locking import refuse_if_locked
from bluegreen.operations.pending import (
    Pending,
    Question,
    pending_of,
    pending_when_built,
    why_unbuilt,
)
from bluegreen.operations.plans import deploy_has
from bluegreen.operations.reversing import outlived
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.triggers import Wanted, failed_before
from bluegreen.operations.way_back import WayBack, way_back_after
from bluegreen.requirements.candidate import Candidate
from bluegreen.requirements.upgrade import Upgrade
from bluegreen.requirements.variables import new_defaults
from bluegreen.sources.comparison import Comparison
from bluegreen.sources.removal import remove_tree

LATEST = 10  # deploys whose phases are the measure


@dataclass(frozen=True, kw_only=True)
class PhaseTime:
    """How long a phase took, the median of the latest deploys: seconds."""

    phase: PhaseName
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A deploy of ``version`` as it would be now.

    ``comparison`` is None where the source does not give the version; why is among ``findings``,
    each of which would stop the deploy. ``replaced`` is what the slot would hold no more.
    """

    app: str
    version: str
    slot: Slot
    serving: SlotRecord | None
    replaced: SlotRecord | None
    comparison: Comparison | None
    upgrade: Upgrade
    defaults: Sequence[str]
    findings: Sequence[BluegreenError]
    times: Sequence[PhaseTime]
    deploys: int  # that were measured
    pending: Pending | None  # None: a deploy runs no migrations
    unbuilt: str | None  # why it was not built, where that was asked for
    failed_before: str | None  # how its latest attempt ended, if not well
    way_back: WayBack
    promote: Promote  # whether it waits for a person
    hot: float | None  # seconds that the way back stays so; None: for ever


async def plan(desk: Desk, app: AppRuntime, version: str, *, build: bool = False) -> Plan:
    """Look at everything; changes nothing. Raises UsageError for what cannot be a version.

    ``build``: where nothing but a lock is in the way, build it to ask it for pending migrations.
    """
    traffic = desk.parts.traffic.read(app.name)
    serving = None if traffic.active is None else app.slots[traffic.active]
    slot = app.idle
    upgrade = Upgrade(
        settings=app.settings, active=None if serving is None else serving.version, version=version
    )
    findings: list[BluegreenError] = await _refusals(desk, app)
    comparison: Comparison | None = None
    try:
        comparison = await app.source.compare(version, None if serving is None else serving.commit)
        findings += await outlived(app, comparison.release)
    except SourceError as error:
        findings.append(error)
    async with _scratch(app) as scratch:
        candidate = Candidate(
            settings=app.settings, layout=app.layout, slot=slot, version=version,
            tree=app.trees.path(0, slot), operation=0, logs=scratch, jobs=app.parts.supervisor,
            remedies=app.parts.layout.remedies,
        )  # fmt: skip
        findings += (await look(app, candidate, OperationKind.DEPLOY)).found
        question = Question(
            release=None if comparison is None else comparison.release,
            version=version, slot=slot, scratch=scratch,
        )  # fmt: skip
        # What is in the way of a deploy, as a full disk is, is in the way of a build as well.
        builds = build and all(isinstance(error, LockedError) for error in findings)
        ask = pending_when_built if builds else pending_of
        if (pending := await ask(app, question)) is not None and pending.refusal is not None:
            findings.append(pending.refusal)
    findings += upgrade.with_all_acknowledged.unmet()
    times = await desk.parts.store.latest_phases(app.name, OperationKind.DEPLOY, limit=LATEST)
    held = app.slots[slot]
    return Plan(
        app=app.name,
        version=version,
        slot=slot,
        serving=serving,
        replaced=None if held.state is SlotState.EMPTY else held,
        comparison=comparison,
        upgrade=upgrade,
        defaults=await asyncio.to_thread(new_defaults, candidate, upgrade.active),
        findings=findings,
        times=medians(times, app.settings),
        deploys=len({record.operation for record in times}),
        pending=pending,
        unbuilt=why_unbuilt(app) if build else None,
        failed_before=await _failed_before(app, version, comparison),
        way_back=way_back_after(app, traffic, () if pending is None else pending.names),
        promote=app.settings.promote,
        hot=app.settings.keep.hot,
    )


async def _failed_before(
    app: AppRuntime, version: str, comparison: Comparison | None
) -> str | None:
    commit = None if comparison is None else comparison.release.commit
    return await failed_before(app, Wanted(version=version, commit=commit))


async def _refusals(desk: Desk, app: AppRuntime) -> list[BluegreenError]:
    """Why a deploy that was asked for this instant would not even begin."""
    found: list[BluegreenError] = []
    try:
        await refuse_if_locked(app)
    except LockedError as error:
        found.append(error)
    if (busy := desk.busy(app.name)) is not None:
        found.append(busy)
    return [*found, *(one.refusal() for one in desk.unsettled.of(app.name))]


@contextlib.asynccontextmanager
async def _scratch(app: AppRuntime) -> AsyncIterator[Path]:
    """A directory for what is said while it is looked at; removed afterwards."""

    def make() -> Path:
        app.layout.plans.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(dir=app.layout.plans))

    directory = await asyncio.to_thread(make)
    try:
        yield directory
    finally:
        await asyncio.to_thread(remove_tree, directory)


def medians(records: Sequence[PhaseRecord], settings: AppSettings) -> list[PhaseTime]:
    """For each phase that was done and would be now, in the order in which a deploy takes them."""
    began: dict[tuple[int, PhaseName], float] = {}
    took: defaultdict[PhaseName, list[float]] = defaultdict(list)
    for record in records:
        step = record.operation, record.phase
        if record.state is PhaseState.INTENT:
            began[step] = record.at
        elif record.state is PhaseState.DONE and step in began:
            took[record.phase].append(max(record.at - began[step], 0.0))
    return [
        PhaseTime(phase=phase, seconds=statistics.median(took[phase]))
        for phase in deploy_has(settings)
        if phase in took and phase is not PhaseName.PROMOTE  # a person's time
    ]
