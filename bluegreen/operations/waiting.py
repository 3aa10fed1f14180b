"""Automatic releases: what waits of each app, why, and whose turn it is.

What waits is in the store. Each app of which something waits has a task that begins the first of it
once nothing is in its way any more.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bluegreen.errors import BluegreenError, BusyError, LockedError, StoreError
from bluegreen.model import (
    Operation,
    OperationError,
    OperationKind,
    OperationState,
    Pause,
    PhaseName,
    Requester,
)
from bluegreen.operations.holding import refuse_if_held
from bluegreen.operations.keys import begun_with
from bluegreen.operations.locking import refuse_if_locked
from bluegreen.operations.named import refuse_if_removed
from bluegreen.operations.parts import Parts
from bluegreen.operations.queue import Queue
from bluegreen.operations.run import Interruption, Run
from bluegreen.operations.runtime import AppRuntime, end_task
from bluegreen.operations.triggers import Triggered, Wanted, against, done_already
from bluegreen.operations.unsettled import AllUnsettled
from bluegreen.processes import tell_if_failed
from bluegreen.store.operations import clock_time
from bluegreen.store.waiting import superseded_by

log = logging.getLogger(__name__)

LOOK_AGAIN = 2.0  # seconds, for what nobody tells of: a window that opens, a clock that was set


@dataclass
class _Place:
    """One app's: what waits, the oldest first, as it was last read."""

    waiting: list[Operation] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class Waiting:
    """What waits of all apps, and the tasks that begin it."""

    def __init__(self, parts: Parts, queue: Queue, unsettled: AllUnsettled) -> None:
        self._parts = parts
        self._queue = queue
        self._unsettled = unsettled
        self._places: dict[str, _Place] = {}
        self._closed = False
        queue.on_change = self.look

    def of(self, app: str) -> tuple[Operation, ...]:
        """What waits of an app, in the order of the turns."""
        place = self._places.get(app)
        return () if place is None else tuple(place.waiting)

    def look(self, app: AppRuntime) -> None:
        """Something has changed: perhaps the next may begin."""
        if self._closed or app.removed:
            return
        place = self._place(app)
        place.wake.set()
        if place.task is None or place.task.done():
            place.task = asyncio.create_task(
                self._serve(app, place), name=f"what waits of {app.name}"
            )
            place.task.add_done_callback(tell_if_failed)

    async def trigger(
        self, app: AppRuntime, wanted: Wanted, by: Requester, *, key: str | None
    ) -> Triggered:
        """See `Desk.trigger`."""
        async with app.admission:
            refuse_if_removed(app)
            kind, version = OperationKind.DEPLOY, wanted.version
            if known := await begun_with(key, app, kind, version=version):
                return Triggered(operation=known, said=f"it has begun operation {known.id} already")
            waiting = await self._read(app)
            run = self._queue.running(app.name)
            if found := await done_already(app, wanted, run, waiting):
                return found
            if refused := await self._refusal(app, wanted, waiting):
                return Triggered(operation=None, said=f"{app.name}: {refused}")
            latest = app.settings.queue.policy == "latest"
            try:
                operation = await self._parts.store.waiting.add(
                    app=app.name, version=version, requested_by=by, idempotency_key=key,
                    supersedes=[one.id for one in waiting] if latest else [],
                )  # fmt: skip
                await self._begin_added(app)
            finally:
                self.look(app)  # it waits, perhaps, whatever has happened
        return await self._answer(app, operation, waiting if latest else ())

    async def _begin_added(self, app: AppRuntime) -> None:
        """As it is on disk, its trigger has nothing to do with what goes wrong from now on."""
        try:
            await self._begin_next(app)
        except Exception as error:
            _say(app, error)

    async def _refusal(
        self, app: AppRuntime, wanted: Wanted, waiting: list[Operation]
    ) -> str | None:
        """Why it is not even to wait."""
        if why := await against(app, wanted):
            return why
        policy, limit = app.settings.queue.policy, app.settings.queue.limit
        if (standing := self._giving_way(app)) is not None and wanted.is_older_than(
            standing.operation.version
        ):
            return (
                f"{wanted.version} is older than {standing.operation.version}, which waits to be "
                "promoted"
            )
        if policy == "refuse":
            obstacle = await self.obstacle(app) or _behind(waiting)
            if obstacle is not None:
                return f'{wanted.version} would wait {obstacle}, and policy = "refuse" in [queue]'
        if policy == "serial" and len(waiting) >= limit:
            return f"{len(waiting)} releases wait already, which is the limit in [queue]"
        for one in waiting:
            if policy == "latest" and wanted.is_older_than(one.version):
                return f"{wanted.version} is older than {one.version}, which waits already"
        return None

    async def _answer(
        self, app: AppRuntime, operation: Operation, superseded: list[Operation] | tuple[()]
    ) -> Triggered:
        operation = await self._parts.store.operation(operation.id)
        said = f"operation {operation.id} deploys {operation.version}"
        if operation.state is OperationState.QUEUED:
            why = await self.why(app, operation)
            said = f"operation {operation.id} ({operation.version}) waits {why}"
        if superseded:
            named = ", ".join(f"{one.version} (operation {one.id})" for one in superseded)
            said += f"; it takes the place of {named}"
        return Triggered(operation=operation, said=said)

    # -- why --------------------------------------------------------------------------------

    async def why(self, app: AppRuntime, operation: Operation) -> str:
        """What an operation waits for: ``behind operation 5``, ``until …``, ``as …``."""
        ahead = itertools.takewhile(lambda one: one.id != operation.id, self.of(app.name))
        return _behind([*ahead]) or await self.obstacle(app) or "for its turn"

    async def obstacle(self, app: AppRuntime) -> str | None:
        """What keeps an automatic release from beginning now."""
        before = self._in_progress(app, besides=self._giving_way(app))
        return before or await self._put_off(app) or self._in_progress(app)

    def _in_progress(self, app: AppRuntime, *, besides: Run | None = None) -> str | None:
        """The operation behind which it would have to wait, ``besides`` one that would end."""
        if (run := self._queue.running(app.name)) is not None and run is not besides:
            one = run.operation
            what = " ".join(filter(None, (one.kind, one.version)))
            ends = "" if run.promotion is None else f", until: bluegreen promote {app.name}"
            return f"behind operation {one.id} ({what}) by {one.requested_by.name}{ends}"
        if left := self._unsettled.of(app.name):
            return f"behind operation {left[0].operation.id}, which is not settled yet"
        return None

    async def _put_off(self, app: AppRuntime) -> str | None:
        """What nobody's end but a person or the clock does away with."""
        if self._queue.is_aside(app.name):
            return "behind a switch"
        try:
            await refuse_if_locked(app)
            refuse_if_held(app)
        except (LockedError, BusyError) as error:
            return f"as {error.message}"
        return await self._decided(app) or self._window(app)

    async def _decided(self, app: AppRuntime) -> str | None:
        """What a person has decided, which nothing automatic is to undo."""
        traffic = self._parts.traffic.read(app.name)
        if traffic.closed and traffic.active is not None:
            return f"as {app.name} is out of service (bluegreen start {app.name})"
        if app.unrecorded:
            return "behind a switch that is not in the history yet"
        pause = await self._parts.store.waiting.pause(app.name)
        if pause is None:
            return None
        return f"{since(pause)}, until a person deploys, or: bluegreen resume {app.name}"

    def _window(self, app: AppRuntime) -> str | None:
        windows, now = app.settings.promote.windows, time.time()
        if windows is None or windows.are_open(now):
            return None
        opens = windows.open_after(now)
        when = "" if opens is None else f", {windows.shown(opens)}"
        return f"until the window opens ({windows}){when}"

    async def say_if_outside(self, app: AppRuntime, operation: Operation) -> None:
        """A person's release heeds no window, and its operation says so."""
        windows = app.settings.promote.windows
        if windows is not None and not windows.are_open(time.time()):
            message = f"begun outside of the window ({windows})"
            await self._parts.note(app.name, operation.id, "warning", message=message)

    # -- turns ------------------------------------------------------------------------------

    async def _serve(self, app: AppRuntime, place: _Place) -> None:
        """Begin one after the other, until nothing waits."""
        said: str | None = None
        while not self._closed and not app.removed:
            place.wake.clear()
            try:
                async with app.admission:
                    began = not app.removed and await self._begin_next(app)
                said = None
            except Exception as error:  # the disk, or a defect: what waits is not lost for it
                began = False
                if str(error) != said:
                    said = str(error)
                    _say(app, error)
            if not place.waiting and said is None and not place.wake.is_set():
                return
            if not began:
                try:
                    async with asyncio.timeout(LOOK_AGAIN):
                        await place.wake.wait()
                except TimeoutError:
                    pass

    async def _begin_next(self, app: AppRuntime) -> bool:
        """Begin the next, or end it as nobody wants it any more; the caller holds ``admission``.

        False: nothing waits, or something is in its way.
        """
        waiting = await self._read(app)
        if self._closed or not waiting:
            return False
        standing = self._giving_way(app)
        before = self._in_progress(app, besides=standing)
        if before is not None or await self._put_off(app) is not None:
            return False
        latest = app.settings.queue.policy == "latest"
        *older, first = waiting if latest else waiting[:1]
        for one in older:
            await self._end(one, OperationState.SUPERSEDED, superseded_by(first))
        wanted = Wanted(version=first.version or "")
        began, done = True, await done_already(app, wanted, None, ())
        if why := done.said if done is not None else await against(app, wanted):
            error = OperationError(
                kind="superseded",
                message=f"as its turn came, nothing was left to do: {why}",
                remedy=f"see what serves: bluegreen status {app.name}",
            )
            await self._end(first, OperationState.SUPERSEDED, error)
        elif standing is not None:  # only now, as it is lost by it and this one would begin
            began = False
            if self._giving_way(app) is standing:  # else a person has let it go on meanwhile
                standing.interrupt(Interruption.NEWER)
        else:
            began = await self._queue.begin_waiting(app, first)
        await self._read(app)
        return began

    def _giving_way(self, app: AppRuntime) -> Run | None:
        """A trigger's release that waits for a person: with "latest", a newer one ends that."""
        run = self._queue.running(app.name)
        if run is None or not run.operation.automatic or app.settings.queue.policy != "latest":
            return None
        standing = run.promotion
        return run if standing is not None and standing.phase is PhaseName.PROMOTE else None

    async def cancel(self, app: AppRuntime, number: int, by: Requester) -> Operation | None:
        """End one that waits; None: it does not wait (any more)."""
        async with app.admission:
            waiting = {one.id: one for one in await self._read(app)}
            if number not in waiting:
                return None
            error = OperationError(
                kind="cancel",
                message=f"cancelled by {by.name} before it began",
                remedy=f"to deploy it after all: bluegreen deploy {app.name} "
                f"{waiting[number].version}",
            )
            ended = await self._end(waiting[number], OperationState.CANCELLED, error)
            await self._read(app)
        return ended

    async def _end(
        self, operation: Operation, state: OperationState, error: OperationError
    ) -> Operation:
        return await self._parts.store.finish_operation(operation.id, state, error=error)

    # -- coming and going -------------------------------------------------------------------

    async def take_over(
        self, names: Collection[str], left: Sequence[Operation], apps: Mapping[str, AppRuntime]
    ) -> None:
        """Let what an earlier daemon has left wait on, of ``names``; end what is of no app."""
        for name in sorted({one.app for one in left}):
            if name in names:
                self.look(apps[name])
            elif name not in apps:
                await self._end_all([one for one in left if one.app == name])

    async def forget(self, app: AppRuntime) -> None:
        """The app is gone: what waits of it is ended. The caller holds ``admission``."""
        place = self._places.pop(app.name, None)
        if place is not None:
            await end_task(place.task)
        try:
            left = await self._parts.store.waiting.of(app.name)
        except StoreError as error:
            log.warning(
                "what waits of %s does so still: %s", app.name, error.message,
                extra={"app": app.name},
            )  # fmt: skip
        else:
            await self._end_all(left)

    async def _end_all(self, waiting: Sequence[Operation]) -> None:
        """Of an app that is not configured any more; what a store refuses waits on."""
        for one in waiting:
            error = OperationError(
                kind="removed",
                message=f"{one.app} was removed before its turn came",
                remedy=f"put its file back, then: bluegreen deploy {one.app} {one.version}",
            )
            try:
                await self._end(one, OperationState.CANCELLED, error)
            except StoreError as failed:
                log.warning("operation %d of %s waits on: %s", one.id, one.app, failed.message)

    def stop(self) -> None:
        """The daemon ends: nothing more is begun."""
        self._closed = True
        for place in self._places.values():
            place.wake.set()

    async def close(self) -> None:
        """What waits does so for the next daemon."""
        self.stop()
        for place in self._places.values():
            await end_task(place.task)

    def _place(self, app: AppRuntime) -> _Place:
        return self._places.setdefault(app.name, _Place())

    async def _read(self, app: AppRuntime) -> list[Operation]:
        place = self._place(app)
        place.waiting = await self._parts.store.waiting.of(app.name)
        return place.waiting


def since(pause: Pause) -> str:
    """``since the switch of uid 0 (root) at 12:00:05 (operation 7)``."""
    return f"since the {pause.kind} by {pause.by} at {clock_time(pause.at)} ({pause.operation})"


def _behind(waiting: list[Operation]) -> str | None:
    return f"behind operation {waiting[-1].id} ({waiting[-1].version})" if waiting else None


def _say(app: AppRuntime, error: Exception) -> None:
    """Why what could begin waits on; with its trace if it is a defect."""
    expected = isinstance(error, BluegreenError | OSError)
    log.warning(
        "what waits of %s does: %s", app.name, error,
        exc_info=None if expected else error, extra={"app": app.name},
    )  # fmt: skip
