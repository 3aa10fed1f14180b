"""Which phases each kind of operation goes through, in order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from bluegreen.config.settings import AppSettings
from bluegreen.model import OperationKind, PhaseName
from bluegreen.operations.by_hand import Action, ByHand
from bluegreen.operations.phases.backup import Backup, BackupBeforeChange, Retain
from bluegreen.operations.phases.bring_back import SettleBack, SwitchAndOpen, data_back
from bluegreen.operations.phases.build import Build
from bluegreen.operations.phases.by_hand import Check, MigrateByHand
from bluegreen.operations.phases.fetch import Fetch
from bluegreen.operations.phases.gate import Gate
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
from bluegreen.operations.phases.reverse import BackupBeforeReverse, Reverse
from bluegreen.operations.phases.service import Close, Open, StopSlots
from bluegreen.operations.phases.settle import Settle
from bluegreen.operations.phases.start import Start
from bluegreen.operations.phases.switch import Switch
from bluegreen.operations.phases.watch import Watch
from bluegreen.operations.run import Phase

OF_DATA = frozenset({PhaseName.REHEARSE, PhaseName.BACKUP, PhaseName.MIGRATE})
"""The phases that a release has only where its app has data to care for."""


WHERE_ASKED_FOR = OF_DATA | {PhaseName.REVERSE}
"""The same, with what a rollback has only where its app has migrations."""


def data_phases(kind: OperationKind, version: str | None, app: AppSettings) -> set[PhaseName]:
    """Those of `WHERE_ASKED_FOR` that an operation goes through, as the app file is now."""
    if kind is OperationKind.MIGRATE:
        only_looks = ByHand.parse(version).action is Action.CHECK
        return set() if only_looks else {PhaseName.BACKUP, PhaseName.MIGRATE}
    migrations = app.migrations
    if kind is OperationKind.ROLLBACK and migrations is not None and migrations.mode != "none":
        return {PhaseName.BACKUP, PhaseName.REVERSE}
    if kind is not OperationKind.DEPLOY or app.backup is None:
        return set()
    if migrations is None:
        return {PhaseName.BACKUP}
    if migrations.mode == "none":
        return set()
    return set(OF_DATA) if migrations.runs else {PhaseName.BACKUP}


def phases_of(
    kind: OperationKind, of_data: Collection[PhaseName] = WHERE_ASKED_FOR
) -> Sequence[Phase]:
    """A fresh list of the phases of that kind; of `WHERE_ASKED_FOR`, those named."""
    if kind in (OperationKind.BACKUP, OperationKind.RESTORE):
        return _phases_of(kind)
    if kind is OperationKind.MIGRATE and not of_data:
        return (Check(),)
    return [
        phase
        for phase in _phases_of(kind)
        if phase.name not in WHERE_ASKED_FOR or phase.name in of_data
    ]


def phases_with_data() -> Sequence[Phase]:
    """Those of a rollback that brings back a backup's data with the release."""
    return [
        *(Preflight(), Fetch(), Build()),
        *data_back(),
        *(Start(), Gate(), SwitchAndOpen(), SettleBack()),
    ]


def _phases_of(kind: OperationKind) -> Sequence[Phase]:
    if kind is OperationKind.SWITCH:
        return (Start(), Gate(), Switch())  # to a slot that is not ready; see switching.py
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
    if kind is OperationKind.ROLLBACK:
        return (
            *(Preflight(), Fetch(), Build(), Measure(), Start(), Gate(), Switch(), Watch()),
            *(BackupBeforeReverse(), Reverse(), Settle()),
        )
    return (
        *(Preflight(), Fetch(), Build(), Rehearse(), Measure()),
        *(BackupBeforeChange(), Migrate()),
        *(Start(), Gate(), Switch(), Watch(), Settle()),
    )
