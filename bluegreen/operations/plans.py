"""Which phases each kind of operation goes through, in order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bluegreen.config.settings import AppSettings
from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.of_data import WHERE_ASKED_FOR, data_phases
from bluegreen.operations.phases.backup import Backup, BackupBeforeChange, Retain
from bluegreen.operations.phases.bring_back import SettleBack, SwitchAndOpen, data_back
from bluegreen.operations.phases.build import Build
from bluegreen.operations.phases.by_hand import Check, MigrateByHand
from bluegreen.operations.phases.fetch import Fetch
from bluegreen.operations.phases.gate import Gate
from bluegreen.operations.phases.held_by_hand import (
    GateAgain,
    MeasureHeld,
    OpenAgain,
    StartClosed,
)
from bluegreen.operations.phases.hold import Drain, HoldRequests, ReleaseRequests
from bluegreen.operations.phases.measure import Measure
from bluegreen.operations.phases.migrate import Migrate
from bluegreen.operations.phases.preflight import Preflight
from bluegreen.operations.phases.promote import Promote
from bluegreen.operations.phases.rehearse import Rehearse
from bluegreen.operations.phases.restore import (
    BackupBefore,
    Restore,
    SettleRestore,
    Stage,
    Verify,
)
from bluegreen.operations.phases.reverse import BackupBeforeReverse, Reverse, ReverseUnderHold
from bluegreen.operations.phases.service import Close, Open, StopSlots
from bluegreen.operations.phases.settle import Settle
from bluegreen.operations.phases.start import Start
from bluegreen.operations.phases.steps import Steps
from bluegreen.operations.phases.switch import Switch
from bluegreen.operations.phases.watch import Watch
from bluegreen.operations.run import Phase


def phases_of(
    kind: OperationKind, of_data: Collection[PhaseName] = WHERE_ASKED_FOR, *, held: bool = False
) -> Sequence[Phase]:
    """A fresh list of the phases of that kind; of `WHERE_ASKED_FOR`, those named.

    ``held``: no two versions live with one schema, so that a rollback changes it under a hold.
    """
    if kind in (OperationKind.BACKUP, OperationKind.RESTORE):
        return _phases_of(kind, held)
    if kind is OperationKind.MIGRATE and not of_data:
        return (Check(),)
    return [
        phase
        for phase in _phases_of(kind, held)
        if phase.name not in WHERE_ASKED_FOR or phase.name in of_data
    ]


def deploy_has(app: AppSettings) -> Sequence[PhaseName]:
    """What a deploy that replaces a version may go through, as the app file is now."""
    migrations = app.migrations
    holds = not app.app.overlap or (migrations is not None and migrations.mode == "hold")
    without = set() if holds else {PhaseName.HOLD, PhaseName.DRAIN, PhaseName.RELEASE}
    if not app.gate.unchanged:
        without.add(PhaseName.MEASURE)
    if not app.promote.steps:
        without.add(PhaseName.STEPS)
    phases = phases_of(OperationKind.DEPLOY, data_phases(OperationKind.DEPLOY, None, app))
    return [phase.name for phase in phases if phase.name not in without]


def phases_with_data() -> Sequence[Phase]:
    """Those of a rollback that brings back a backup's data with the release."""
    return [
        *(Preflight(), Fetch(), Build()),
        *data_back(),
        *(Start(), Gate(), SwitchAndOpen(), SettleBack()),
    ]


def _phases_of(kind: OperationKind, held: bool) -> Sequence[Phase]:
    if kind is OperationKind.SWITCH:
        # To a slot that is not ready; see switching.py.
        return (HoldRequests(), Drain(), Start(), Gate(), Switch(), ReleaseRequests())
    if kind is OperationKind.STOP:
        return (Close(), StopSlots())
    if kind is OperationKind.START:
        return (Start(), Gate(), Open())
    if kind is OperationKind.BACKUP:
        return (Backup(), Retain())
    if kind is OperationKind.RESTORE:
        return (Verify(), BackupBefore(), Stage(), Restore(), SettleRestore())
    if kind is OperationKind.MIGRATE:
        return (
            *(Check(), HoldRequests(), Drain(), MeasureHeld(), BackupBeforeChange()),
            *(MigrateByHand(), StartClosed(), GateAgain(), OpenAgain(), ReleaseRequests()),
            Retain(),
        )
    if kind is OperationKind.ROLLBACK:
        before = (BackupBeforeReverse(), ReverseUnderHold()) if held else ()
        after = () if held else (BackupBeforeReverse(), Reverse())
        return (
            *(Preflight(), Fetch(), Build(), HoldRequests(), Drain(), Measure(), *before),
            *(Start(), Gate(), Switch(), ReleaseRequests(), Watch(), *after, Settle()),
        )
    return (
        *(Preflight(), Fetch(), Build(), Rehearse(), Promote(before_hold=True)),
        *(HoldRequests(), Drain(), Measure(), BackupBeforeChange(), Migrate()),
        *(Start(), Gate(), Promote(before_hold=False), Steps()),
        *(Switch(), ReleaseRequests(), Watch(), Settle()),
    )
