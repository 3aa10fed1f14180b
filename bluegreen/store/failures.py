"""What SQLite and the file system refuse, as an operator reads it."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from typing import ClassVar

from bluegreen.errors import BusyError, IllegalTransitionError, StoreError, StoreFullError

_CORRUPT = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_CANNOT_WRITE = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY})
# A quota, a file size limit and a failing disk show as errors of writing.
_WRITE_ERRORS = frozenset(
    {
        sqlite3.SQLITE_IOERR_WRITE,
        sqlite3.SQLITE_IOERR_FSYNC,
        sqlite3.SQLITE_IOERR_DIR_FSYNC,
        sqlite3.SQLITE_IOERR_TRUNCATE,
        sqlite3.SQLITE_IOERR_SHMSIZE,
        sqlite3.SQLITE_IOERR_SHMOPEN,
    }
)
_FULL_OR_READ_ONLY = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EACCES, errno.EPERM}
)


class StoreCorruptError(StoreError):
    """The database file is damaged, or is not a database."""

    kind: ClassVar[str] = "store-corrupt"


class DuplicateKeyError(BusyError):
    """The idempotency key was used before; ``operation`` is the operation it began."""

    kind: ClassVar[str] = "duplicate-key"

    def __init__(self, app: str, key: str, operation: int) -> None:
        super().__init__(
            f"{app}: the idempotency key {key!r} was already used for operation {operation}",
            remedy=f"`bluegreen logs {app} {operation}` shows that operation; use a new key to "
            "begin another",
        )
        self.operation = operation


class ReusedKeyError(BusyError):
    """The idempotency key was used before, for a request that began no operation."""

    kind: ClassVar[str] = "duplicate-key"

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the idempotency key {key!r} was already used for another request",
            remedy="use a new key for each thing that is to be done",
        )


def _space(path: Path) -> tuple[str, bool]:
    """What is free where ``path`` is, for people, and whether it is mounted read-only."""
    try:
        figures = os.statvfs(path.parent)
    except OSError as error:
        return f"{path.parent}: {error.strerror}", False
    free = figures.f_bavail * figures.f_frsize / 2**20
    read_only = bool(figures.f_flag & os.ST_RDONLY)
    mode = ", mounted read-only" if read_only else ""
    return f"{free:,.1f} MiB free on the file system of {path.parent}{mode}", read_only


def _cannot_record(path: Path, reason: str, *, opening: bool) -> StoreFullError:
    evidence, _ = _space(path)
    then = (
        "start the daemon again; apps and nginx serve on meanwhile"
        if opening
        else "ask again; `bluegreen status` and `bluegreen switch back` still work"
    )
    return StoreFullError(
        f"the store {path} cannot record: {reason}",
        detail=[evidence],
        remedy=f"make the file system of {path.parent} writable and free some space on it, then "
        f"{then}",
    )


def corrupt(path: Path, evidence: list[str]) -> StoreCorruptError:
    """The error for a damaged database file."""
    return StoreCorruptError(
        f"the store {path} is damaged",
        detail=evidence,
        remedy="start the daemon anew: it sets the file aside and observes the slots again; "
        "the history stays in the file that was set aside",
    )


def from_sqlite(error: sqlite3.Error, path: Path, *, opening: bool = False) -> StoreError:
    """The StoreError that says what ``error`` means for the store at ``path``."""
    space, read_only = _space(path)
    code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
    name: str = getattr(error, "sqlite_errorname", type(error).__name__)
    evidence = f"{error} ({name})"
    if code & 0xFF in _CORRUPT:
        return corrupt(path, [evidence])
    if code & 0xFF in _CANNOT_WRITE or code in _WRITE_ERRORS:
        return _cannot_record(path, evidence, opening=opening)
    if code & 0xFF == sqlite3.SQLITE_CANTOPEN:
        if read_only:  # SQLite cannot create the WAL
            return _cannot_record(path, evidence, opening=opening)
        return StoreError(
            f"the store {path} cannot be opened: {evidence}",
            detail=[space],
            remedy=f"see that {path.parent} exists and belongs to the daemon's user",
        )
    if code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"the store {path} is held by another process: {evidence}",
            remedy=f"`fuser {path}` names it; end it, then ask again",
        )
    if code & 0xFF == sqlite3.SQLITE_CONSTRAINT:
        if "illegal transition" in str(error) or "legal_transition" in str(error):
            return IllegalTransitionError(
                f"the store {path} refuses the change: {error}",
                remedy="`bluegreen history` shows what was recorded",
            )
        return StoreError(
            f"the store {path} refuses the change: {evidence}",
            remedy="nothing was recorded; this is a fault of bluegreen, please report it",
        )
    return StoreError(
        f"the store {path} failed: {evidence}",
        detail=[space],
        remedy="look at the kernel's log for errors of that disk, then ask again",
    )


def from_os(error: OSError, path: Path) -> StoreError:
    """The StoreError for a file system that would not let the store be opened at ``path``."""
    if error.errno in _FULL_OR_READ_ONLY:
        return _cannot_record(path, error.strerror or str(error), opening=True)
    return StoreError(
        f"the store {path} cannot be opened: {error.strerror or error}",
        remedy=f"see that {path.parent} is a directory that the daemon's user may write to",
    )
