"""The SQLite file: opened so that a commit survives a power cut, written one transaction a visit.

aiosqlite runs one statement a visit to its thread, and a visit costs about half as much as a
durable commit. So a transaction is a function that is run whole in one visit: transactions never
interleave, and a caller that is cancelled leaves one committed or rolled back, never open.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from bluegreen.durations import Durations
from bluegreen.errors import StoreError
from bluegreen.files import rename_durably, sync_directory
from bluegreen.store.failures import corrupt, from_os, from_sqlite
from bluegreen.store.migrations import migrate

log = logging.getLogger(__name__)

Row = sqlite3.Row
Result = TypeVar("Result")
Work = Callable[[sqlite3.Connection], Result]

LOCK_WAIT = 5.0  # seconds to wait for another process that holds the file
ANSWER_WITHIN = 30.0  # seconds; a disk that takes longer is given up on
QUICK_CHECK_UP_TO = 64 * 2**20  # bytes; a larger file would delay the start of the daemon
CHECKPOINT_AFTER = 100  # transactions, of some ten pages each, once nobody writes …
QUIET = 0.5  # … for so many seconds: what is written beside a checkpoint takes twice as long
CHECKPOINT_AT = 1000  # transactions, whoever writes: some 14 MB
WAL_ROOM = 16 * 2**20  # bytes, for what is written between two checkpoints …
ROOM_AFTER = 1.0  # … made so many seconds after the start, which does not wait for that
CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"  # waits for nobody, and nobody waits for it

# A transaction touches some ten pages, a few rows in each, and all of them go to the WAL. It is for
# a file that is made now; what there is keeps its own.
_PRAGMAS = (
    "PRAGMA page_size = 1024",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Without it INSERT OR REPLACE deletes rows behind the triggers' back.
    "PRAGMA recursive_triggers = ON",
    # What a statement of many rows would need to be undone is written to a file otherwise.
    "PRAGMA temp_store = MEMORY",
    # A checkpoint takes as long as some commits: never within one, see ``_empty_wal``.
    "PRAGMA wal_autocheckpoint = 0",
)

_ZEROS = bytes(2**20)
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)  # seconds


class _Transactions(sqlite3.Connection):
    """A connection whose ``commit`` runs the transaction that was staged first.

    ``aiosqlite.Connection.commit`` calls it in its thread.
    """

    def __init__(
        self, *arguments: Any, staged: deque[Callable[[sqlite3.Connection], None]], **options: Any
    ) -> None:
        super().__init__(*arguments, **options)
        self._staged = staged

    def commit(self) -> None:
        work = self._staged.popleft()
        self.execute("BEGIN IMMEDIATE")
        try:
            work(self)
            self.execute("COMMIT")
        except BaseException:
            if self.in_transaction:  # SQLite rolls back by itself after some errors
                self.execute("ROLLBACK")
            raise


@dataclass(frozen=True)
class Timings:
    """How long questions took, and changes, from being asked for until they were on disk."""

    reads: Durations = field(default_factory=lambda: Durations(_BOUNDS))
    commits: Durations = field(default_factory=lambda: Durations(_BOUNDS))


class Database:
    """One connection that writes and one that reads; a read sees committed transactions only.

    A third one empties the WAL into the file while the others go on.
    """

    def __init__(
        self,
        path: Path,
        writer: aiosqlite.Connection,
        reader: aiosqlite.Connection,
        checkpointer: aiosqlite.Connection,
        staged: deque[Callable[[sqlite3.Connection], None]],
    ) -> None:
        self._path = path
        self._writer = writer
        self._reader = reader
        self._checkpointer = checkpointer
        self._checkpoint: asyncio.Task[None] | None = None
        self._since_checkpoint = 0
        self._quiet: asyncio.TimerHandle | None = None
        self._room: asyncio.TimerHandle | None = None
        self._staged = staged
        self._writing: set[asyncio.Task[Any]] = set()
        self._open = True
        self.timings = Timings()

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Open or create the file at ``path``, readable by its owner only, in its newest schema.

        Raises StoreCorruptError, StoreFullError (disk full or read-only) or StoreError.
        """
        try:
            size = await asyncio.to_thread(_prepare, path)
        except OSError as error:
            raise from_os(error, path) from error
        staged: deque[Callable[[sqlite3.Connection], None]] = deque()
        factory = functools.partial(_Transactions, staged=staged)
        connections: list[aiosqlite.Connection] = []
        try:
            writer = await _connect(path, connections, factory=factory)
            for pragma in _PRAGMAS:
                await writer.execute_fetchall(pragma)
            await _require_wal(writer, path)
            if size < QUICK_CHECK_UP_TO:
                await _check(writer, path)
            await migrate(writer, path)
            reader = await _connect(path, connections)
            await reader.execute_fetchall("PRAGMA query_only = ON")
            checkpointer = await _connect(path, connections)
        except BaseException as error:
            for connection in connections:
                await connection.close()
            if isinstance(error, sqlite3.Error):
                raise from_sqlite(error, path, opening=True) from error
            raise
        database = cls(path, writer, reader, checkpointer, staged)
        loop = asyncio.get_running_loop()
        database._room = loop.call_later(ROOM_AFTER, database._begin_to_make_room)
        return database

    async def read(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """The rows of one query. Raises StoreError."""
        self._require_open()
        began = time.monotonic()
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return list(await self._reader.execute_fetchall(sql, parameters))
        except sqlite3.Error as error:
            raise from_sqlite(error, self._path) from error
        except TimeoutError as error:
            raise self._silent() from error
        finally:
            self.timings.reads.observe(time.monotonic() - began)

    def begin(
        self, work: Work[Result], committed: Callable[[Result], None] | None = None
    ) -> asyncio.Task[Result]:
        """Run ``work`` as one transaction, which goes on when the caller is cancelled.

        ``work`` gets the connection, in another thread; what it raises rolls all of it back.
        ``committed`` is called on the loop after the commit, in the order of the commits.
        The task raises StoreError or what ``work`` raised; :meth:`close` waits for it.
        """
        self._require_open()
        task = asyncio.create_task(self._transact(work, committed), name="store transaction")
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return task

    async def outcome(self, task: asyncio.Task[Result]) -> Result:
        """What the transaction ``task`` returned. Raises StoreError when it takes too long.

        A caller cancelled while it waits does not know whether the transaction was committed;
        whatever it begins afterwards comes after it.
        """
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                return await asyncio.shield(task)
        except TimeoutError as error:
            task.add_done_callback(_report_failure)
            raise self._silent() from error
        except asyncio.CancelledError:
            task.add_done_callback(_report_failure)
            raise

    async def write(self, work: Work[Result]) -> Result:
        """Run ``work`` as one transaction and wait for its commit; see :meth:`begin`."""
        return await self.outcome(self.begin(work))

    async def close(self) -> None:
        """Wait for the transactions that were begun, then close the file. May be repeated.

        Raises StoreError when the disk does not let them end.
        """
        if self._room is not None:
            self._room.cancel()
        while self._writing:
            _, pending = await asyncio.wait(set(self._writing), timeout=ANSWER_WITHIN)
            if pending:
                raise self._silent()
        self._open = False
        if self._quiet is not None:
            self._quiet.cancel()
        if self._checkpoint is not None:
            await asyncio.wait([self._checkpoint], timeout=ANSWER_WITHIN)
        try:
            await self._checkpointer.close()
            await self._reader.close()
        finally:
            await self._writer.close()  # the last to close checkpoints and removes the WAL

    async def _transact(
        self, work: Work[Result], committed: Callable[[Result], None] | None
    ) -> Result:
        results: list[Result] = []
        began = time.monotonic()
        # Staged and queued without an await between: the order of both is the same.
        self._staged.append(lambda connection: results.append(work(connection)))
        try:
            await self._writer.commit()
        except sqlite3.Error as error:
            raise from_sqlite(error, self._path) from error
        finally:
            self.timings.commits.observe(time.monotonic() - began)
        [result] = results
        if committed is not None:
            committed(result)
        self._since_checkpoint += 1
        if self._since_checkpoint >= CHECKPOINT_AT:
            self._begin_checkpoint()
        elif self._since_checkpoint >= CHECKPOINT_AFTER:
            self._wait_for_quiet()
        return result

    def _begin_to_make_room(self) -> None:
        # As a transaction: nobody else writes meanwhile.
        self.begin(lambda _: _make_room(self._path)).add_done_callback(_report_failure)

    def _wait_for_quiet(self) -> None:
        if self._quiet is not None:
            self._quiet.cancel()
        self._quiet = asyncio.get_running_loop().call_later(QUIET, self._begin_checkpoint)

    def _begin_checkpoint(self) -> None:
        if self._open and self._checkpoint is None:
            self._since_checkpoint = 0
            self._checkpoint = asyncio.create_task(self._empty_wal(), name="store checkpoint")

    async def _empty_wal(self) -> None:
        """Without it the WAL would grow. What fails now is tried again after more transactions."""
        try:
            await self._checkpointer.execute_fetchall(CHECKPOINT)
            # The WAL begins anew only once all of it is in the file. What was written meanwhile is
            # little; the writer does it, as nothing more is written meanwhile.
            await self._writer.execute_fetchall(CHECKPOINT)
        except sqlite3.Error as error:
            log.warning("the WAL of %s was not emptied: %s", self._path, error)
        finally:
            self._checkpoint = None

    def _require_open(self) -> None:
        if not self._open:
            raise StoreError(
                f"the store {self._path} is closed: the daemon is stopping",
                remedy="ask again when the daemon has been started",
            )

    def _silent(self) -> StoreError:
        return StoreError(
            f"the store {self._path} did not answer within {ANSWER_WITHIN:g} s",
            remedy="look at the kernel's log for errors of that disk, then ask again; "
            "`bluegreen history` shows whether the change was recorded",
        )


def set_aside(path: Path) -> Path:
    """Move a damaged database out of the way, with its WAL; returns where it is now. Blocking.

    Nothing may have it open. ``sqlite3`` opens the result for a look at what is left.
    Raises OSError.
    """
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    aside = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    # The database itself last: a new one must never find the WAL of the old one beside it.
    for suffix in ("-wal", "-shm", ""):
        source = path.with_name(path.name + suffix)
        if source.exists():
            rename_durably(source, aside.with_name(aside.name + suffix))
    return aside


def _prepare(path: Path) -> int:
    """Create directory and file if they are missing; the size of file and WAL in bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        sync_directory(path.parent)
    wal = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (wal.stat().st_size if wal.exists() else 0)


def _make_room(path: Path) -> None:
    """Lengthen the WAL by zeros, which SQLite takes for its end, while nobody writes. Blocking.

    A commit that makes the file longer waits for the file system's journal too: twice as long.
    """
    wal = path.with_name(f"{path.name}-wal")
    with contextlib.suppress(OSError):  # it grows by itself then
        descriptor = os.open(wal, os.O_WRONLY | os.O_CLOEXEC)
        size = os.fstat(descriptor).st_size
        try:
            for position in range(size, WAL_ROOM, len(_ZEROS)):
                os.pwrite(descriptor, _ZEROS[: WAL_ROOM - position], position)
            os.fdatasync(descriptor)
        except OSError:  # no room: what there is, is for others
            os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)


async def _connect(
    path: Path, connections: list[aiosqlite.Connection], **options: Any
) -> aiosqlite.Connection:
    connection = await aiosqlite.connect(path, isolation_level=None, timeout=LOCK_WAIT, **options)
    connections.append(connection)
    connection.row_factory = Row
    return connection


async def _require_wal(connection: aiosqlite.Connection, path: Path) -> None:
    [(mode,)] = await connection.execute_fetchall("PRAGMA journal_mode")
    if mode != "wal":
        raise StoreError(
            f"the store {path} cannot have a write-ahead log there (journal mode {mode})",
            remedy=f"{path.parent} must be on a local file system, not a network one",
        )


async def _check(connection: aiosqlite.Connection, path: Path) -> None:
    rows = await connection.execute_fetchall("PRAGMA quick_check(5)")
    findings = [str(finding) for (finding,) in rows]
    if findings != ["ok"]:
        raise corrupt(path, findings)


def _report_failure(task: asyncio.Task[Any]) -> None:
    """A write that failed after its caller had left is still heard of."""
    error = None if task.cancelled() else task.exception()
    if error is not None:
        task.get_loop().call_exception_handler(
            {"message": "a change that nobody waits for was not recorded", "exception": error}
        )
