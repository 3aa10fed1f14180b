"""One service that is kept running: its state, its restarts, the requests to start and stop it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from bluegreen.errors import SupervisorError
from bluegreen.model import ServiceUnit, UnitState, UnitStatus
from bluegreen.processes import tell_if_failed, uninterrupted
from bluegreen.supervisors import logs
from bluegreen.supervisors.launch import RunningSession, launch
from bluegreen.supervisors.records import ProcessRecords, definition_digest
from bluegreen.supervisors.sessions import ProcessTable

logger = logging.getLogger(__name__)

FIRST_DELAY = 0.5  # seconds between the end of a service and its restart; doubled each time …
LONGEST_DELAY = 30.0  # … up to this
STEADY_AFTER = 60.0  # seconds of running after which the delay is the first one again

_T = TypeVar("_T")


class Service:
    """A service, and the one task (its keeper) that notices its end and restarts it.

    Requests are served one at a time, in the order in which they came.
    """

    def __init__(
        self,
        unit: ServiceUnit,
        records: ProcessRecords,
        table: ProcessTable,
        changed: Callable[[UnitStatus], None],
        *,
        last_exit: str | None = None,
    ) -> None:
        self.unit = unit
        self._records = records
        self._table = table
        self._changed = changed
        self._state = UnitState.STOPPED
        self._since: float | None = None
        self._restarts = 0
        self._last_exit = last_exit
        self._running: RunningSession | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._requests: set[asyncio.Task[Any]] = set()
        self._latest: asyncio.Task[Any] | None = None
        self._stop: asyncio.Task[bool] | None = None

    @property
    def status(self) -> UnitStatus:
        return UnitStatus(
            key=self.unit.key,
            state=self._state,
            pid=self._running.pid if self._running is not None else None,
            restarts=self._restarts,
            last_exit=self._last_exit,
            since=self._since,
        )

    async def processes(self) -> frozenset[int]:
        """The PIDs of all live processes of the service."""
        return await self._running.members() if self._running is not None else frozenset()

    def adopt(self, running: RunningSession) -> None:
        """Go on keeping what an earlier daemon has started."""
        self._running = running
        self._become(UnitState.RUNNING, since=running.record.started_at)
        self._keeper = self._keep_from_now()

    async def start(self, unit: ServiceUnit) -> None:
        """See `Supervisor.start`. Cancelled in the middle, it leaves the service stopped."""
        self._stop = None  # a stop that is asked for from now on comes after this start
        await self._request(lambda: self._start(unit), name=f"start {unit.key}")

    async def stop(self) -> bool:
        """See `Supervisor.stop`. It goes on when the caller is cancelled; a second caller joins."""
        if self._stop is None or self._stop.done():
            self._stop = self._request(
                lambda: self._halt(self.unit.stop_timeout), name=f"stop {self.unit.key}"
            )
        return await asyncio.shield(self._stop)

    async def let_go(self) -> None:
        """Keep it no more: it runs on. In the middle of a start or a stop, it is killed."""
        for request in self._requests:
            request.cancel()
        if self._requests:
            await asyncio.wait(self._requests)
        await self._dismiss_keeper()
        if self._running is not None:
            self._running.let_go()

    def _request(self, act: Callable[[], Awaitable[_T]], *, name: str) -> asyncio.Task[_T]:
        task: asyncio.Task[_T] = asyncio.create_task(self._in_turn(act, self._latest), name=name)
        self._latest = task
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)
        return task

    async def _in_turn(
        self,
        act: Callable[[], Awaitable[_T]],
        previous: asyncio.Task[Any] | None,
    ) -> _T:
        if previous is not None:
            await asyncio.wait([previous])
        # A previous request that was cancelled while it waited did not wait for its own previous.
        async with self._turn:
            try:
                return await act()
            except asyncio.CancelledError:
                await uninterrupted(self._halt(0), name=f"kill {self.unit.key}")
                raise

    async def _start(self, unit: ServiceUnit) -> None:
        running = self._running
        if (
            self._state is UnitState.RUNNING
            and running is not None
            and running.record.definition == definition_digest(unit)
        ):
            self.unit = unit  # how it is stopped and logged may have changed
            return
        await self._halt(self.unit.stop_timeout)
        self.unit = unit
        self._restarts = 0
        self._last_exit = None
        self._running = await launch(unit, self._records, self._table)
        self._become(UnitState.RUNNING)
        self._keeper = self._keep_from_now()

    async def _halt(self, stop_timeout: float) -> bool:
        await self._dismiss_keeper()
        graceful = True
        if self._running is not None:
            self._become(UnitState.STOPPING)
            pid = self._running.pid
            graceful, ending = await self._running.end(stop_timeout=stop_timeout)
            self._running = None
            self._last_exit = str(ending)
            await asyncio.to_thread(
                logs.note_in, self.unit.log_file, f"stopped pid {pid}: {ending}"
            )
        if self._state is not UnitState.STOPPED:
            self._become(UnitState.STOPPED)
        return graceful

    async def _dismiss_keeper(self) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait([self._keeper])
            self._keeper = None

    def _become(self, state: UnitState, *, since: float | None = None) -> None:
        self._state = state
        self._since = since if since is not None else time.time()
        self._changed(self.status)

    def _keep_from_now(self) -> asyncio.Task[None]:
        keeper = asyncio.create_task(self._keep(), name=f"keep {self.unit.key}")
        keeper.add_done_callback(tell_if_failed)
        return keeper

    async def _keep(self) -> None:
        loop = asyncio.get_running_loop()
        delay = FIRST_DELAY
        while self._running is not None:
            began = loop.time()
            self._last_exit = str(await self._running.ended())
            self._become(UnitState.BACKOFF)
            if loop.time() - began >= STEADY_AFTER:
                delay = FIRST_DELAY
            while not await self._is_back_after(delay):
                delay = min(2 * delay, LONGEST_DELAY)
            delay = min(2 * delay, LONGEST_DELAY)

    async def _is_back_after(self, delay: float) -> bool:
        """End what the service left behind, wait ``delay`` seconds, start it again."""
        try:
            if self._running is not None:
                await self._running.end(stop_timeout=0)
                text = f"pid {self._running.pid} ended: {self._last_exit}, restart in {delay:g} s"
                self._running = None
                await asyncio.to_thread(logs.note_in, self.unit.log_file, text)
            await asyncio.sleep(delay)
            self._running = await launch(self.unit, self._records, self._table)
        except SupervisorError as error:
            named = {"app": self.unit.key.app}
            logger.warning("%s is not restarted yet: %s", self.unit.key, error.message, extra=named)
            self._last_exit = error.message
            self._become(UnitState.BACKOFF)
            return False
        self._restarts += 1
        self._become(UnitState.RUNNING)
        return True
