"""Asking an SQLite database that others write to, without leaving anything beside it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

STEPS = 10_000  # of SQLite's virtual machine, between looks at the clock
RETRY = 0.02  # seconds
OPENING = 2.0  # seconds that one who opens or closes it may be between its -wal and its -shm
_WAL_VERSION = 2  # of the write version, at byte 18: see "Database File Format" of SQLite
# A query reads. Whatever else it may say (ATTACH, VACUUM INTO) could make files.
_READING = {
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
}  # fmt: skip


class UnreadableError(Exception):
    """There is no answer; the text says why."""


@dataclass(frozen=True)
class _State:
    """What a file looked like; ``mode`` is how it can be opened then."""

    mode: str
    identity: tuple[int, int, int]  # inode, size, time of its last change


def ask(database: Path, query: str, *, timeout: float) -> Iterator[str]:
    """The rows that ``query`` answers, as lines. Raises UnreadableError.

    A reader in WAL mode makes the files beside the database where they are missing, and would leave
    them, with its own rights. They are missing while nobody has it open: then nobody writes either,
    and the file is read as it stands; afterwards it is looked at whether that was so.
    """
    began = time.monotonic()
    deadline = began + timeout
    while True:
        before = _look(database)
        try:
            lines = _read(database, query, before.mode, deadline)
        except sqlite3.Error as error:
            # Of what a crash has left, a moment of somebody's opening it looks the same.
            passes = _cannot_open(error) and time.monotonic() < began + OPENING
            changed = passes or _look(database) != before
            if not changed or time.monotonic() > deadline:
                raise UnreadableError(_why(database, error, timeout, deadline)) from error
        else:
            if "immutable" not in before.mode or _look(database) == before:
                return iter(lines)
            if time.monotonic() > deadline:
                raise UnreadableError(f"it changed all the time, for {timeout:g} s")
        time.sleep(RETRY)


def _look(database: Path) -> _State:
    try:
        with database.open("rb") as file:
            header = file.read(20)
        status = database.stat()
    except OSError as error:
        raise UnreadableError(f"{database}: {error.strerror or error}") from error
    identity = status.st_ino, status.st_size, status.st_mtime_ns
    if len(header) < 20 or header[18] != _WAL_VERSION:
        return _State("mode=ro", identity)  # a reader makes no files
    if database.with_name(f"{database.name}-wal").exists():
        return _State("mode=ro&readonly_shm=1", identity)
    return _State("mode=ro&immutable=1", identity)


def _read(database: Path, query: str, mode: str, deadline: float) -> list[str]:
    # SQLite waits whole milliseconds: one that had waited for less would not say for how long.
    left = max(deadline - time.monotonic(), 0.0) + 0.001
    uri = f"file:{quote(str(database))}?{mode}"
    with closing(sqlite3.connect(uri, uri=True, timeout=left, isolation_level=None)) as connection:
        connection.set_authorizer(_authorize)
        connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
        return ["|".join(map(_text, row)) for row in connection.execute(query)]


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    reads = action in _READING or (action == sqlite3.SQLITE_PRAGMA and second is None)
    return sqlite3.SQLITE_OK if reads else sqlite3.SQLITE_DENY


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.hex() if isinstance(value, bytes) else str(value)


def _why(database: Path, error: sqlite3.Error, timeout: float, deadline: float) -> str:
    code = _code(error)
    if _cannot_open(error):
        return (
            f"{error}: a crash has left {database.name}-wal, and nobody has opened it since; "
            f"as the app's user: sqlite3 {database} 'PRAGMA wal_checkpoint'"
        )
    if code == sqlite3.SQLITE_INTERRUPT or time.monotonic() > deadline:
        return f"no answer within {timeout:g} s ({error})"
    if code == sqlite3.SQLITE_AUTH:
        return f"a query may only read ({error})"
    return str(error)


def _cannot_open(error: sqlite3.Error) -> bool:
    return _code(error) == sqlite3.SQLITE_CANTOPEN


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF
