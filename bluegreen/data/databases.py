"""SQLite databases: copied while others write, checked, and counted."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from bluegreen.errors import DataError

LOCK_WAIT = 10.0  # seconds to wait for a lock that somebody else holds
STEP_PAGES = 2048  # copied at a time: 8 MiB of pages of the usual size
RESTARTS = 3  # of a copy that others' writes have made begin anew
CACHE_KIB = 32 * 1024  # of a connection that checks; what is read once needs no more
BESIDE = ("-wal", "-shm", "-journal")  # files that SQLite keeps beside a database

Progress = Callable[[int, int], None]  # bytes done, bytes in all


class DamagedError(DataError):
    """A database is not what SQLite has written."""


class NoRoomError(DataError):
    """The disk is full; whoever knows what was to be written says how much that needs."""


class _BegunAnewError(Exception):
    """The source has changed so often that the copy would never end."""


def copy_database(source: Path, target: Path, progress: Progress) -> None:
    """Copy ``source`` as it is at one instant into the new file ``target``, which is not synced.

    In WAL mode one read transaction is held, so that writers neither wait nor make the copy begin
    anew. In the other modes a reader keeps writers out: it is let go between the steps, until
    writes have made the copy begin anew too often. Raises DataError.
    """
    try:
        with closing(_open(source, "rw")) as reading:
            (mode,) = reading.execute("PRAGMA journal_mode").fetchone()
            size = int(reading.execute("PRAGMA page_size").fetchone()[0])
            if mode != "wal":
                try:
                    _copy(reading, target, _Watch(progress, size, RESTARTS))
                    return
                except _BegunAnewError:
                    target.unlink()
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            _copy(reading, target, _Watch(progress, size, None))
    except sqlite3.Error as error:
        raise _failure(source, error) from error


def check_database(copy: Path) -> dict[str, int]:
    """The rows of each table of a database that nobody writes to; raises DamagedError."""
    try:
        with closing(_open(copy, "ro&immutable=1")) as connection:
            connection.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(20)")]
            if found != ["ok"]:
                raise _damaged(copy, found)
            return _rows(connection)
    except sqlite3.Error as error:
        raise _failure(copy, error) from error


def count_rows(database: Path) -> dict[str, int]:
    """The rows of each table, as they are now. Raises DataError."""
    try:
        with closing(_open(database, "rw")) as connection:
            connection.execute("BEGIN")
            return _rows(connection)
    except sqlite3.Error as error:
        raise _failure(database, error) from error


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    tables = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0"
        r" AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name"
    ).fetchall()
    return {
        name: int(connection.execute(f"SELECT count(*) FROM {_quoted(name)}").fetchone()[0])  # noqa: S608 - quoted
        for (name,) in tables
    }


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=LOCK_WAIT, isolation_level=None
    )


class _Watch:
    """Follows a copy, and ends one that waits or begins anew for too long."""

    def __init__(self, progress: Progress, page_size: int, restarts: int | None) -> None:
        self._progress = progress
        self._page_size = page_size
        self._restarts = restarts  # None: it cannot begin anew
        self._remaining: int | None = None
        self._moved = time.monotonic()

    def __call__(self, status: int, remaining: int, total: int) -> None:
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            # SQLite's own wait comes before each of these.
            if time.monotonic() - self._moved > LOCK_WAIT:
                raise sqlite3.OperationalError("database is locked")
            return
        self._moved = time.monotonic()
        if self._restarts is not None and self._remaining is not None:
            if remaining >= self._remaining > 0:
                self._restarts -= 1
            if self._restarts < 0:
                raise _BegunAnewError
        self._remaining = remaining
        self._progress((total - remaining) * self._page_size, total * self._page_size)


def _copy(reading: sqlite3.Connection, target: Path, watch: _Watch) -> None:
    with closing(_open(target, "rwc")) as writing:
        # A copy that fails is thrown away, so nothing needs to be taken back in it.
        writing.execute("PRAGMA journal_mode = OFF")
        writing.execute("PRAGMA synchronous = OFF")
        reading.backup(writing, pages=STEP_PAGES, progress=watch, sleep=0.05)


def _damaged(path: Path, found: list[str]) -> DamagedError:
    return DamagedError(
        f"the database {path.name} is damaged",
        detail=found[:20],
        remedy="restore the newest good backup (bluegreen backup list), or mend it by the "
        "sqlite3 command .recover; older backups were not touched",
    )


def _failure(path: Path, error: sqlite3.Error) -> DataError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return _damaged(path, [str(error)])
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) or "is locked" in str(error):
        return DataError(
            f"the database {path.name} is locked by another process, since {LOCK_WAIT:g} s "
            "at least",
            remedy=f"see who holds it open (fuser {path}), end that or wait for it, then try again",
        )
    if code == sqlite3.SQLITE_FULL:
        return NoRoomError(
            f"no room for the copy of {path.name}", remedy="free some space on the disk"
        )
    return DataError(
        f"the database {path.name} cannot be copied: {error}",
        remedy=f"see that {path} is an SQLite database that the app's user may read and write",
    )
