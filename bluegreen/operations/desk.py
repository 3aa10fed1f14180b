"""Where requests come in: each becomes an operation of its own, or a refusal that says why."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from bluegreen.config.versions import check_version
from bluegreen.errors import BusyError, RefusedError
from bluegreen.model import (
    AppLock,
    Hold,
    Operation,
    OperationKind,
    Requester,
    Slot,
    SlotRecord,
    UnitState,
    UnitStatus,
)
from bluegreen.operations.background import Background
from bluegreen.operations.by_hand import Action, ByHand, asked
from bluegreen.operations.failover import Failovers
from bluegreen.operations.holding import Holds
from bluegreen.operations.keys import begun_with
from bluegreen.operations.named import find, only
from bluegreen.operations.parts import Parts
from bluegreen.operations.previewing import Issued, Previewing
from bluegreen.operations.promoting import promote
from bluegreen.operations.queue import Queue
from bluegreen.operations.restoring import (
    release_of_backup,
    require_backups,
    require_restorable,
)
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.runtime import AppRuntime
from bluegreen.operations.switches import Switches, deployed
from bluegreen.operations.switching import Switched
from bluegreen.operations.triggers import Triggered, Wanted
from bluegreen.operations.unsettled import AllUnsettled
from bluegreen.operations.waiting import Waiting
from bluegreen.operations.warmth import Warmth
from bluegreen.operations.way_back import known_migrations, refuse_start_by_schema
from bluegreen.store.failures import DuplicateKeyError
from bluegreen.store.operations import busy_error
from bluegreen.watching.service import Watching

log = logging.getLogger(__name__)


class Desk:
    """The apps, their running operations, and everything that may be asked of them."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.apps: dict[str, AppRuntime] = {}
        self.warmth = Warmth()
        self.holds = Holds()
        self.previewing = Previewing()
        self.unsettled = AllUnsettled()  # see recovery
        self.watching = Watching(parts.layout, parts.traffic)
        self.queue = Queue(parts, self.warmth, self.watching)
        self.waiting = Waiting(parts, self.queue, self.unsettled)
        self._switches = Switches(parts, self.queue, self.warmth, self.unsettled)
        self.failovers = Failovers(self.queue, self._switches)
        self._background = Background()
        parts.supervisor.on_change = self._on_change

    def app(self, name: str) -> AppRuntime:
        return find(self.apps, name, self.parts.layout)

    def only_app(self) -> str:
        """The name of the host's only app. Raises UsageError where there are more, or none."""
        return only(self.apps, self.parts.layout)

    def running(self, app: str) -> Run | None:
        """The operation in progress on an app, if any."""
        return self.queue.running(app)

    def busy(self, app: str) -> BusyError | None:
        """Why nothing else may be done to an app now: who does what, and since when."""
        return self.queue.busy(app)

    def held_in(self, app: str, slot: Slot) -> SlotRecord:
        """What a slot of an app holds, as the store says."""
        return self.apps[app].slots[slot]

    # -- releases ---------------------------------------------------------------------------

    async def deploy(
        self,
        app: str,
        version: str,
        by: Requester,
        *,
        acknowledged: tuple[str, ...] = (),
        manual: bool = False,
        forced: bool = False,
        key: str | None = None,
    ) -> Operation:
        """Begin the upgrade of the idle slot to ``version``; ``acknowledged`` is what it breaks.

        ``manual``: it waits for a person, whatever the app file says. ``forced``: past the versions
        that are let in, started from and gone by; see `Upgrade`.
        """
        check_version(version)
        runtime = self.app(app)
        operation = await self.queue.begin(
            runtime, OperationKind.DEPLOY, by,
            version=version, acknowledged=acknowledged, manual=manual, forced=forced, key=key,
        )  # fmt: skip
        await self.waiting.say_if_outside(runtime, operation)
        return operation

    async def trigger(
        self,
        app: str,
        version: str,
        by: Requester,
        *,
        key: str | None,
        commit: str | None = None,
    ) -> Triggered:
        """Have ``version`` deployed for an automatic trigger, a webhook: at once, or in its turn.

        It heeds ``[queue]``, ``[promote]``, locks and what a person has decided since. ``key`` is
        what makes two calls one; ``commit`` is that of the version, where the trigger knows it.
        Durable when it returns. Raises UsageError, NotFoundError, DuplicateKeyError, StoreError.
        """
        check_version(version)
        wanted = Wanted(version=version, commit=commit)
        return await self.waiting.trigger(self.app(app), wanted, by, key=key)

    async def rollback(
        self,
        app: str,
        version: str | None,
        by: Requester,
        *,
        backup: int | None = None,
        key: str | None = None,
    ) -> Operation:
        """Begin the way to an older release, with a backup's data if one is named.

        ``version`` None: the one that made the backup or, without, that served before the present.
        """
        runtime, kind = self.app(app), OperationKind.ROLLBACK
        if known := await begun_with(key, runtime, kind, version=version, backup=backup):
            return known
        if backup is not None:
            if (busy := self.busy(app)) is not None:
                raise busy
            version = version or await release_of_backup(runtime, backup)
        if version is None:
            version = await self._version_before(runtime)
        check_version(version)
        return await self.queue.begin(runtime, kind, by, version=version, backup=backup, key=key)

    async def restart(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to bring the serving release up in the other slot, and traffic over to it."""
        runtime = self.app(app)
        if known := await begun_with(key, runtime, OperationKind.RESTART):
            return known
        serving = runtime.slots[deployed(runtime, runtime.active)]
        if self.parts.traffic.read(app).closed:
            raise RefusedError(f"{app} is out of service", remedy=f"bluegreen start {app}")
        return await self.queue.begin(
            runtime, OperationKind.RESTART, by,
            version=serving.version, pinned_commit=serving.commit, key=key,
        )  # fmt: skip

    async def stop(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to take an app out of service."""
        runtime = self.app(app)
        active = deployed(runtime, runtime.active)
        return await self.queue.begin(runtime, OperationKind.STOP, by, target=active, key=key)

    async def start(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin to bring a stopped app back, through its gate."""
        runtime = self.app(app)
        if known := await begun_with(key, runtime, OperationKind.START):
            return known
        active = deployed(runtime, runtime.active)
        if not self.parts.traffic.read(app).closed:
            raise RefusedError(
                f"{app} is in service already", remedy=f"see it: bluegreen status {app}"
            )
        await refuse_start_by_schema(runtime, active, await known_migrations(runtime))
        return await self.queue.begin(runtime, OperationKind.START, by, target=active, key=key)

    # -- data -------------------------------------------------------------------------------

    async def back_up(self, app: str, by: Requester, *, key: str | None = None) -> Operation:
        """Begin a backup of the app's data, whether it serves or not."""
        runtime = self.app(app)
        require_backups(runtime)
        return await self.queue.begin(runtime, OperationKind.BACKUP, by, key=key)

    async def restore(
        self, app: str, backup: int, by: Requester, *, key: str | None = None
    ) -> Operation:
        """Begin to put the data of a backup in the place of those that a stopped app has."""
        runtime, kind, version = self.app(app), OperationKind.RESTORE, str(backup)
        if known := await begun_with(key, runtime, kind, version=version):
            return known
        if (busy := self.busy(app)) is not None:
            raise busy
        await require_restorable(runtime, backup)
        return await self.queue.begin(runtime, kind, by, version=version, key=key)

    async def migrate(
        self, app: str, action: Action, name: str | None, by: Requester, *, key: str | None = None
    ) -> Operation:
        """Begin what is done to the app's migrations by hand."""
        runtime, kind = self.app(app), OperationKind.MIGRATE
        if known := await begun_with(key, runtime, kind):
            if ByHand.parse(known.version).action is not action:
                raise DuplicateKeyError(runtime.name, key or "", known.id)
            return known
        if (busy := self.busy(app)) is not None:
            raise busy
        deployed(runtime, runtime.active)
        request = await asked(runtime, action, name)
        if action is not Action.CHECK:
            require_backups(runtime)
        return await self.queue.begin(runtime, kind, by, version=str(request), key=key)

    async def promote(self, app: str, by: Requester, *, number: int | None = None) -> Operation:
        """Let the release go on that waits for a person; returns its operation, which goes on.

        ``number`` None: whichever waits. Raises RefusedError, StoreError.
        """
        return (await promote(self.app(app), self.running(app), by, number=number)).operation

    async def cancel(self, app: str) -> Operation:
        """End the operation in progress; returns it once all it did is undone. See `Run.ended`."""
        run = self.running(self.app(app).name)
        if run is None or run.task is None:
            if left := self.unsettled.of(app):
                raise left[0].refusal()
            waits = "".join(
                f"; {one.version} waits, and is removed by: bluegreen cancel {app} {one.id}"
                for one in self.waiting.of(app)
            )
            raise RefusedError(
                f"no operation is running on {app}",
                remedy=f"see it: bluegreen status {app}{waits}",
            )
        run.interrupt(Interruption.CANCEL)
        await run.ended()
        return await asyncio.shield(run.task)

    async def cancel_one(self, app: str, number: int, by: Requester) -> Operation:
        """End the operation of that number, which waits or is in progress; see `cancel`."""
        ended = await self.waiting.cancel(self.app(app), number, by)
        if ended is not None:
            return ended
        run = self.running(app)
        if run is None or run.operation.id != number:
            raise RefusedError(
                f"operation {number} of {app} neither waits nor runs",
                remedy=f"see what does: bluegreen status {app}",
            )
        return await self.cancel(app)

    async def switch(
        self, app: str, to: Slot | None, by: Requester, *, key: str | None = None
    ) -> Switched:
        """Move traffic to ``to``, or to the other slot; returns once it has moved.

        At once where that slot is ready; else its release is started and gated first. A release
        in progress is interrupted, never waited for longer than its undoing takes.
        """
        return await self._switches.switch(self.app(app), to, by, key=key)

    def record_late(self, app: AppRuntime) -> None:
        """Have switches that are not in the history written there as soon as that can be."""
        self._switches.record_late(app)

    # -- holds ------------------------------------------------------------------------------

    async def hold(self, app: str, seconds: float, by: Requester) -> Hold:
        """Have the app's new requests wait at nginx, for so long at the most."""
        runtime = self.app(app)
        async with runtime.admission:
            run = self.running(app)
            if run is not None and not run.operation.kind.is_of_data:
                raise busy_error(app, run.operation, next(reversed(run.recorded), None))
            return await self.holds.hold(runtime, seconds, by)

    async def release(self, app: str, by: Requester) -> tuple[Hold, tuple[str, ...]]:
        """Let them through; what held them, and warnings."""
        return await self.holds.release(self.app(app), by)

    # -- previews ---------------------------------------------------------------------------

    async def preview(self, app: str, seconds: float, by: Requester) -> Issued:
        """Let whoever is given the key see the app's idle slot through its site, for so long."""
        return await self.previewing.issue(self.app(app), seconds, by)

    async def end_previews(self, app: str, by: Requester) -> int:
        """End all that people have asked for; how many there were."""
        return await self.previewing.revoke(self.app(app), by)

    # -- locks ------------------------------------------------------------------------------

    async def set_lock(self, lock: AppLock) -> None:
        runtime = self.app(lock.app)
        async with runtime.admission:  # nothing begins that has looked for a lock before
            await self.parts.store.set_lock(lock)

    async def clear_lock(self, app: str) -> None:
        if not await self.parts.store.clear_lock(self.app(app).name):
            raise RefusedError(f"{app} is not locked", remedy="there is nothing to do")
        self.waiting.look(self.app(app))

    async def resume(self, app: str) -> None:
        """Let automatic releases begin again, which a person's switch has made wait."""
        runtime = self.app(app)
        if not await self.parts.store.waiting.resume(app):
            raise RefusedError(
                f"automatic releases of {app} do not wait for a person",
                remedy=f"see what they wait for: bluegreen status {app}",
            )
        self.waiting.look(runtime)

    async def outcome(self, operation: Operation) -> Operation:
        """Wait until an operation has ended; returns it with its outcome."""
        return await self.queue.outcome(operation)

    # -- the end ----------------------------------------------------------------------------

    async def forget(self, app: str) -> None:
        """Of an app whose file is gone: nothing more is done about it."""
        runtime = self.apps[app]
        runtime.removed = True
        await self.waiting.forget(runtime)
        await runtime.close()
        await self.warmth.stop_cooling(app)
        await self.holds.forget(app)
        await self.previewing.forget(app)
        await self.failovers.forget(app)
        del self.apps[app]

    def interrupt(self) -> None:
        """The daemon ends: what has not been switched is undone, a watch goes on in the next."""
        self.waiting.stop()
        self.queue.interrupt()

    async def close(self) -> None:
        """Interrupt what runs, and wait until it is undone."""
        await self.failovers.close()
        await self.waiting.close()
        await self.queue.close()
        await self.watching.close()
        await self.warmth.close()
        await self.holds.close()
        await self.previewing.close()
        for app in self.apps.values():
            await app.close()
        await self._background.close()
        await self._switches.close(self.apps.values())

    # -- what happens by itself -------------------------------------------------------------

    def _on_change(self, status: UnitStatus) -> None:
        if status.state is not UnitState.BACKOFF:
            return
        message = f"{status.key.service} of {status.key.slot} ended: {status.last_exit}"
        run = self.running(status.key.app)
        named = run.named if run else {"app": status.key.app}
        log.warning("%s: %s", status.key.app, message, extra=named)
        self.later(
            self.parts.note(
                status.key.app, run.operation.id if run else None, "service",
                slot=status.key.slot, service=status.key.service,
                restarts=status.restarts, message=message,
            ),
            name=f"note of {status.key}",
        )  # fmt: skip

    def later(self, work: Coroutine[Any, Any, None], *, name: str) -> None:
        """Do ``work`` beside everything else; it is ended with the desk."""
        self._background.begin(work, name=name)

    async def _version_before(self, app: AppRuntime) -> str:
        """The version that served before the present one began to."""
        serving = app.slots[deployed(app, app.active)].version
        before = await self.parts.store.served_before(app.name, serving)
        if before is None:
            raise RefusedError(
                f"{app.name}: no release before {serving} is in the history",
                remedy=f"name one: bluegreen rollback {app.name} --to VERSION",
            )
        return before
