"""How the daemon is, told to the service manager for as long as the daemon lives."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from bluegreen.errors import StoreError
from bluegreen.model import OperationKind
from bluegreen.notify import Notifier
from bluegreen.operations.desk import Desk
from bluegreen.operations.run import Run
from bluegreen.words import counted

log = logging.getLogger(__name__)

EXTENSION = 30.0  # seconds that a start or a stop asks for at a time
EXTEND_EVERY = 10.0  # seconds
REPORT_EVERY = 15.0  # seconds, where no watchdog asks for more
STORE_LIMIT = 5.0  # seconds for the store to answer, where no watchdog asks for less
ASK_AGAIN = 1.0  # seconds after the store did not answer
TOGETHER = 0.1  # seconds in which news are taken together
OPERATIONS_NAMED = 5  # at a time

DOING = {
    OperationKind.DEPLOY: "deploying",
    OperationKind.SWITCH: "switching",
    OperationKind.ROLLBACK: "rolling back",
    OperationKind.RESTART: "restarting",
    OperationKind.STOP: "stopping",
    OperationKind.START: "starting",
    OperationKind.BACKUP: "backing up",
    OperationKind.RESTORE: "restoring",
    OperationKind.MIGRATE: "migrating",
}


class Vitals:
    """Feeds the watchdog and the status line from a task of its own; see :meth:`told`.

    ``news`` returns an event that is set when something has happened. As the task runs on the
    daemon's loop and asks its store before it feeds, a daemon in which either hangs is not fed.
    """

    def __init__(self, notifier: Notifier, news: Callable[[], asyncio.Event]) -> None:
        self._notifier = notifier
        self._news = news
        self._store: Callable[[], Awaitable[None]] | None = None
        self._describe: Callable[[], str] | None = None
        self._told = ""
        within = notifier.watchdog_seconds
        self._every = within / 2 if within is not None else REPORT_EVERY
        self._store_limit = STORE_LIMIT if within is None else min(STORE_LIMIT, within / 4)

    @contextlib.asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Tell the manager, from the start of the daemon to its end."""
        if not self._notifier.is_connected:
            yield
            return
        task = asyncio.create_task(self._tell(), name="service manager is told")
        task.add_done_callback(_report_failure)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            self._notifier.close()

    def ask(self, store: Callable[[], Awaitable[None]] | None) -> None:
        """From now on ``store``, which raises StoreError, has to answer as well; None: no more."""
        self._store = store

    def ready(self, describe: Callable[[], str]) -> None:
        """The API serves; ``describe`` says what the daemon is doing."""
        self._describe = describe
        self._told = describe()
        self._notifier.ready(self._told)

    def stopping(self) -> None:
        self._describe = None
        self._notifier.stopping()
        self._notifier.extend(EXTENSION)

    @contextlib.contextmanager
    def reloading(self) -> Iterator[None]:
        """A reload, whether it works or not: the daemon serves on."""
        if self._describe is not None:
            self._notifier.reloading()
        try:
            yield
        finally:
            if self._describe is not None:  # else it is being stopped meanwhile
                self.ready(self._describe)

    async def _tell(self) -> None:
        due = 0.0
        while True:
            news = self._news()
            if (now := time.monotonic()) >= due:
                due = now + (self._pause() if await self._feed() else ASK_AGAIN)
            self._say_what()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, due - time.monotonic())):
                    await news.wait()
                    await asyncio.sleep(TOGETHER)

    @property
    def _transient(self) -> bool:
        return self._describe is None

    def _pause(self) -> float:
        return min(self._every, EXTEND_EVERY) if self._transient else self._every

    async def _feed(self) -> bool:
        """Whether the store answered, and so the manager was told that all is well."""
        try:
            if self._store is not None:
                await asyncio.wait_for(self._store(), self._store_limit)
        except (StoreError, TimeoutError) as error:
            why = error.message if isinstance(error, StoreError) else "no answer in time"
            log.error("the watchdog is not fed, because of the store: %s", why)
            return False
        self._notifier.feed()
        if self._transient:
            self._notifier.extend(EXTENSION)
        return True

    def _say_what(self) -> None:
        text = self._describe() if self._describe is not None else self._told
        if text != self._told:
            self._told = text
            self._notifier.status(text)


def describe(desk: Desk) -> str:
    """One line: ``serving 3 apps; deploying shop v2: build``."""
    apps = counted(len(desk.apps), "app")
    runs = [run for name in sorted(desk.apps) if (run := desk.running(name)) is not None]
    lines = [_operation(run) for run in runs[:OPERATIONS_NAMED]]
    if len(runs) > OPERATIONS_NAMED:
        lines.append(f"{len(runs) - OPERATIONS_NAMED} more operations")
    return "; ".join([f"serving {apps}", *lines])


def _operation(run: Run) -> str:
    operation = run.operation
    what = f"{DOING[operation.kind]} {run.app.name}"
    if operation.version is not None:
        what += f" {operation.version}"
    phase = next(reversed(run.recorded), None)
    return what if phase is None else f"{what}: {phase}"


def _report_failure(task: asyncio.Task[None]) -> None:
    """Without the task the watchdog is not fed, and the manager starts the daemon again."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("the service manager is told nothing more", exc_info=error)
