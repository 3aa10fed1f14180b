"""What a rollback with a backup's data has that neither a rollback nor a restore has alone.

The older release is built while the newer one serves. Then requests wait, for as long as ``[hold]``
allows, and the app is out of service for those that would wait longer, until the older release has
passed its gate on the restored data: no write goes to data that are about to be replaced. What
fails before that puts the data back and the newer release into service again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from bluegreen.errors import RefusedError
from bluegreen.model import PhaseName, PhaseState
from bluegreen.operations.last_requests import all_read
from bluegreen.operations.phases.hold import let_through, serve_again
from bluegreen.operations.phases.restore import (
    BackupBefore,
    Restore,
    SettleRestore,
    Stage,
    Verify,
    backup_of,
)
from bluegreen.operations.phases.service import Close, StopSlots
from bluegreen.operations.phases.settle import Settle
from bluegreen.operations.phases.switch import Switch, switched_to
from bluegreen.operations.proof import gate_again
from bluegreen.operations.run import Interruption, Phase, Run


class VerifyFirst(Verify):
    """Read the whole backup while the app serves."""

    async def act(self, run: Run) -> dict[str, Any]:
        backups, number = run.app.backups, backup_of(run)
        manifest = await backups.require_restorable(number)
        await backups.require_verified(number, run.logs / "verify.log")
        return {"backup": number, "created_at": manifest.created_at}


class CloseFirst(Close):
    """As `Close`, with requests held first; one that was out of service is not opened by an undo.

    What is held does not see that it is closed, but for what has waited too long.
    """

    def limit(self, run: Run) -> float:
        return 2 * super().limit(run)

    def intent(self, run: Run) -> dict[str, Any]:
        run.was_closed = run.app.parts.traffic.read(run.app.name).closed
        return {"was_closed": run.was_closed}

    async def act(self, run: Run) -> dict[str, Any]:
        if not run.was_closed:
            await self._hold(run)
        return await super().act(run)

    async def _hold(self, run: Run) -> None:
        app, limit = run.app, run.app.settings.hold.limit
        async with app.commit:
            if run.interruption is not None:
                raise asyncio.CancelledError
            try:
                await app.parts.traffic.hold(
                    app.settings, until=time.time() + limit,
                    by=run.operation.requested_by.name, operation=run.operation.id,
                )  # fmt: skip
            except RefusedError as error:
                await run.note("warning", message=f"{error.message}: they are answered 503")
                return
        await run.say(f"requests wait from now on, for {limit:g} s; then they are answered 503")
        if run.origin is not None:
            await all_read(app, run.origin)

    async def undo(self, run: Run) -> bool:
        if not run.was_closed:
            await super().undo(run)
            await let_through(run)
        return True


class StopBoth(StopSlots):
    """Stop both slots; undone, the one that served runs again, gated."""

    def limit(self, run: Run) -> float:
        return super().limit(run) + run.app.settings.hold.limit

    async def _drain(self, run: Run) -> dict[str, Any]:
        return {}  # requests wait meanwhile, and all that was sent is read

    async def undo(self, run: Run) -> bool:
        app, origin = run.app, run.origin
        if run.was_closed or origin is None:
            return True
        await serve_again(
            run, app.slots[origin],
            then=f"see why: bluegreen logs {app.name}, and bluegreen status {app.name}; where it "
            f"is out of service by then: bluegreen start {app.name}",
        )  # fmt: skip
        return True


class SwitchAndOpen(Switch):
    """Traffic to the older release, and nginx lets it through: from here on there are new writes.

    Marker and opening are one step: between them nobody is served. Once nginx may have opened, what
    fails takes nothing back: new writes would be lost with the data.
    """

    def __init__(self) -> None:
        self._opening: bool | None = None  # None: an earlier daemon knows

    def limit(self, run: Run) -> float:
        return super().limit(run) + run.app.settings.gate.deadline

    def intent(self, run: Run) -> dict[str, Any]:
        return {**super().intent(run), "open": run.target}

    async def act(self, run: Run) -> dict[str, Any]:
        """A cancel that comes too late to undo all of it does not keep it from being settled."""
        try:
            done = await super().act(run)
            await let_through(run)
            return done
        except asyncio.CancelledError:
            moved = run.recorded.get(self.name) is PhaseState.DONE
            if not moved or run.interruption is not Interruption.CANCEL or run.task is None:
                raise
            run.interruption = None
            run.task.uncancel()
            await run.note("warning", message="it was too late to cancel: the data serve")
            return {}

    async def _move(self, run: Run) -> dict[str, Any]:
        app = run.app
        self._opening = False
        if not app.is_running(run.target):  # the host has been down since its gate
            await app.start_services(run.target)
            await gate_again(app, run.target, run.logs, run.on_probe)
        async with app.commit:
            if run.interruption is not None:
                raise asyncio.CancelledError
            if not app.is_running(run.target):
                raise RefusedError(
                    f"{app.name}: {run.target} has passed its gate and does not run any more",
                    remedy=f"see why: bluegreen status {app.name}",
                )
            self._opening = app.active is None  # the first marker of all opens the site
            warnings = () if app.active is run.target else await app.move_traffic(run.target)
            for message in warnings:
                await run.note("warning", message=message)
            # Before nginx opens: what serves is never called less than hot.
            await app.save_slot(switched_to(run))
            self._opening = run.switched = True
            await app.set_closed(False)
            data = {"from": run.origin, "to": run.target, "open": run.target}
            await run.record(self.name, PhaseState.DONE, data, slot=switched_to(run))
        return data

    async def undo(self, run: Run) -> bool:
        """Out of service again, and the marker as it was; not once visitors may have written."""
        app = run.app
        if self._opening or (self._opening is None and is_open(run)):
            await self._stay(run)
            return False
        async with app.commit:
            await app.set_closed(True)
            if run.origin is not None and app.active is run.target is not run.origin:
                await app.move_traffic(run.origin)
        run.switched = False
        return True

    async def _stay(self, run: Run) -> None:
        """Nothing is put back: what is there belongs to the data of the backup."""
        run.switched = True
        app = run.app.name
        message = f"visitors may have written since {run.target} was opened: its data stay"
        if run.app.parts.traffic.read(app).closed:
            message += f"; it is out of service: bluegreen start {app}"
        await run.note("warning", message=message)
        await SettleRestore().act(run)


def is_open(run: Run) -> bool:
    """Whether the older release has visitors, on the data that were brought back."""
    app = run.app
    traffic = app.parts.traffic.read(app.name)
    return PhaseName.SWITCH in run.recorded and app.active is run.target and not traffic.closed


class SettleBack(Settle):
    """As after a restore, and as after a release."""

    async def act(self, run: Run) -> dict[str, Any]:
        await SettleRestore().act(run)
        return await super().act(run)


def goes_on_with_data(run: Run) -> bool:
    """Whether a later daemon finishes it: the data began to be replaced, and nothing failed."""
    failed = any(s not in (PhaseState.INTENT, PhaseState.DONE) for s in run.recorded.values())
    return PhaseName.RESTORE in run.recorded and not failed


def data_back() -> tuple[Phase, ...]:
    """From the older release, built, to its data in their place. Nothing of it serves yet."""
    return (VerifyFirst(), CloseFirst(), StopBoth(), BackupBefore(), Stage(), Restore())
