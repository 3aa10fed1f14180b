"""Changes that are made with others in one transaction: its commit costs the same for many.

The store's thread takes those that wait as it comes to it, and there is always one more transaction
behind the one under way: the thread does not wait for the event loop, which those who come keep
busy, to say what is next.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from bluegreen.errors import StoreError, StoreFullError
from bluegreen.store.database import Database, Work

MOST = 256  # changes in one transaction


@dataclass(frozen=True)
class Change:
    """A change that somebody waits for. ``subject``: what it is about, for whoever makes many."""

    work: Work[Any]
    done: asyncio.Future[Any]
    subject: Any = None

    def succeed(self, result: Any) -> None:
        if not self.done.done():  # whoever waited may be gone
            self.done.set_result(result)

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


Make = Callable[[sqlite3.Connection, Sequence[Change]], list[Any]]  # the result of each, in order


class _Batch:
    """One transaction."""

    def __init__(self, waiting: deque[Change], make: Make) -> None:
        self.has_begun = False
        self.is_refused = False  # by one of its changes, and not by the disk
        self.is_given_up = False  # nobody waits for it any more: what comes now is another's
        self.changes: list[Change] = []
        self._waiting = waiting
        self._make = make

    def work(self, connection: sqlite3.Connection) -> list[Any]:
        """In the store's thread."""
        self.has_begun = True  # before: what is added after a look at this is another's
        while self._waiting and len(self.changes) < MOST and not self.is_given_up:
            self.changes.append(self._waiting.popleft())
        try:
            return self._make(connection, self.changes)
        except Exception:
            self.is_refused = True
            raise

    def succeed(self, results: Sequence[Any]) -> None:
        for change, result in zip(self.changes, results, strict=True):
            change.succeed(result)

    def fail(self, error: Exception) -> None:
        for change in self.changes:
            change.fail(error)

    def fail_all(self, error: Exception) -> None:
        """Those too that it was to take."""
        self.fail(error)
        while not self.has_begun and self._waiting:
            self._waiting.popleft().fail(error)


class Together:
    """Makes changes of one kind: with ``make`` many, in fewer where one of them is refused."""

    def __init__(self, database: Database, make: Make) -> None:
        self._database = database
        self._make = make
        self._waiting: deque[Change] = deque()
        self._batches: dict[_Batch, asyncio.Task[None]] = {}
        self._newest: _Batch | None = None

    async def change(self, work: Work[Any], subject: Any = None) -> Any:
        """On disk when this returns: the result of ``work``. Raises what it raises, StoreError."""
        change = Change(work, asyncio.get_running_loop().create_future(), subject)
        self._waiting.append(change)
        self._begin()
        return await change.done

    def _begin(self) -> None:
        """Have what waits taken: by the transaction that has not begun yet, or by a new one."""
        if not self._waiting or (self._newest is not None and not self._newest.has_begun):
            return
        batch = _Batch(self._waiting, self._make)
        if (writing := self._write(batch)) is None:
            return
        self._newest = batch
        self._batches[batch] = asyncio.create_task(
            self._settle(batch, writing), name="changes of the store"
        )

    def _write(self, batch: _Batch) -> asyncio.Task[list[Any]] | None:
        """None: the store is closed, and all are told."""
        try:
            return self._database.begin(batch.work, committed=batch.succeed)
        except StoreError as error:
            batch.fail_all(error)
            return None

    async def _settle(self, batch: _Batch, writing: asyncio.Task[list[Any]]) -> None:
        try:
            await self._outcome(batch, writing)
        finally:
            del self._batches[batch]
            if self._newest is batch:
                self._newest = None
            self._begin()  # what came as it was full

    async def _outcome(self, batch: _Batch, writing: asyncio.Task[list[Any]]) -> Exception | None:
        """Each has its result or its error in the end, and none an error of another's.

        Returned is what the disk would answer to others as well.
        """
        try:
            await self._database.outcome(writing)
        except Exception as error:
            if not writing.done():
                self._give_up(batch, writing, error)
            elif batch.is_refused and not isinstance(error, StoreFullError):
                if len(batch.changes) > 1:
                    return await self._in_halves(batch.changes)
                batch.fail(error)
                return None
            else:
                batch.fail_all(error)
            return error
        return None

    def _give_up(self, batch: _Batch, writing: asyncio.Task[list[Any]], error: Exception) -> None:
        """The disk does not answer: all are told that at once."""
        batch.is_given_up = True
        batch.fail_all(error)
        # What it was just about to take all the same, should it fail.
        writing.add_done_callback(lambda _: batch.fail(error))

    async def _in_halves(self, changes: Sequence[Change]) -> Exception | None:
        """Until what is refused stands alone: among many there are few."""
        middle = len(changes) // 2
        failure = None
        for half in (changes[:middle], changes[middle:]):
            batch = _Batch(deque(half), self._make)
            if failure is not None:
                batch.fail_all(failure)
            elif (writing := self._write(batch)) is not None:
                failure = await self._outcome(batch, writing)
        return failure
