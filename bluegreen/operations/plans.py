"""Which phases each kind of operation goes through, in order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.of_data import OF_DATA
from bluegreen.operations.phases.backup import Backup, BackupBeforeChange, Retain
from bluegreen.operations.phases.build import Build
from bluegreen.operations.phases.by_hand import Check, MigrateByHand
from bluegreen.operations.phases.fetch import Fetch
from bluegreen.operations.phases.gate import Gate
from bluegreen.operations.phases.hold import Drain, HoldRequests, ReleaseRequests
from bluegreen.operations.phases.measure import Measure
from bluegreen.operations.phases.migrate import Migrate
from bluegreen.operations.phases.preflight import Preflight
from bluegreen.operations.phases.rehearse import Rehearse
from bluegreen.operations.phases.restore import (
    BackupBefore,
    Restore,
    SettleRestore,
    Stage,
    Verify,
)
from bluegreen.operations.phases.service import Close, Open, StopSlots
from bluegreen.operations.phases.settle import Settle
from bluegreen.operations.phases.start import Start
from bluegreen.operations.phases.switch import Switch
from bluegreen.operations.phases.watch import Watch
from bluegreen.operations.run import Phase


def phases_of(kind: OperationKind, of_data: Collection[PhaseName] = OF_DATA) -> Sequence[Phase]:
    """A fresh list of the phases of an operation of that kind; of `OF_DATA`, those named."""
    if kind in (OperationKind.BACKUP, OperationKind.RESTORE):
        return _phases_of(kind)
    if kind is OperationKind.MIGRATE and not of_data:
        return (Check(),)
    return [
        phase for phase in _phases_of(kind) if phase.name not in OF_DATA or phase.name in of_data
    ]


def _phases_of(kind: OperationKind) -> Sequence[Phase]:
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
        return (Check(), BackupBeforeChange(), MigrateByHand(), Retain())
    return (
        *(Preflight(), Fetch(), Build(), Rehearse()),
        *(HoldRequests(), Drain(), Measure(), BackupBeforeChange(), Migrate()),
        *(Start(), Gate(), Switch(), ReleaseRequests(), Watch(), Settle()),
    )
