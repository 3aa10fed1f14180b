"""A copy of the store from before an upgrade, for the case that the new version changes its schema
and does not come up: the previous version would refuse that store.

All of it is done as the daemon's user, in a process of its own: root follows no link that this user
could have made.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from pathlib import Path

from bluegreen.errors import StoreError
from bluegreen.files import rename_durably, sync_file
from bluegreen.host.places import DAEMON_USER, HostLayout

LIMIT = 300.0  # seconds
_STORE = HostLayout(Path("/")).database


def keep(tree: Path) -> None:
    """Make the copy; one of an older schema than the store's stays: it is from before.

    Raises StoreError when it cannot be made.
    """
    _as_the_daemon(tree, "keep")


def put_back(tree: Path) -> None:
    """Where the schema is another one now, the copy becomes the store. The daemon must be down.

    Raises StoreError; the copy is there still then.
    """
    _as_the_daemon(tree, "put_back")


def discard(tree: Path) -> None:
    """Remove the copy."""
    _as_the_daemon(tree, "discard")


def _as_the_daemon(tree: Path, what: str) -> None:
    command = [str(tree / "bin/python"), "-I", "-m", __name__, what]
    try:
        subprocess.run(
            command, user=DAEMON_USER, group=DAEMON_USER, extra_groups=[], cwd="/", umask=0o077,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=True,
        )  # fmt: skip
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        said = str(error.stderr or error).strip().splitlines()
        raise StoreError(
            f"the copy of the store {_STORE}: {what} failed",
            detail=said[-1:],
            remedy="see to the disk and to that file, then install again",
        ) from error


def make_copy(store: Path) -> None:
    """What ``keep`` does, as the daemon's user."""
    copied = _copy_of(store)
    if not store.exists() or (copied.exists() and _schema(copied) < _schema(store)):
        return
    # A copy is whole, or it is not there.
    made = copied.with_name(f"{copied.name}.new")
    for left in (made, made.with_name(f"{made.name}-journal")):
        left.unlink(missing_ok=True)
    with (
        contextlib.closing(_opened(store)) as connection,
        contextlib.closing(sqlite3.connect(made)) as copy,
    ):
        connection.backup(copy)
    sync_file(made)
    rename_durably(made, copied)


def restore(store: Path) -> None:
    """What ``put_back`` does, as the daemon's user."""
    copied = _copy_of(store)
    if not copied.exists() or (store.exists() and _may_stay(store, _schema(copied))):
        return
    for suffix in ("-wal", "-shm"):
        store.with_name(store.name + suffix).unlink(missing_ok=True)
    rename_durably(copied, store)


def _may_stay(store: Path, schema: int) -> bool:
    try:
        return _schema(store) == schema
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_NOTADB:
            raise
        return False  # there is nothing in it to be lost


def remove_copy(store: Path) -> None:
    """What ``discard`` does, as the daemon's user."""
    _copy_of(store).unlink(missing_ok=True)


def _copy_of(store: Path) -> Path:
    return store.with_name(f"{store.name}.before-upgrade")


def _schema(store: Path) -> int:
    with contextlib.closing(_opened(store)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _opened(store: Path) -> sqlite3.Connection:
    # Read and write, as a store whose last daemon was killed is recovered from its log first; but
    # never made anew.
    return sqlite3.connect(f"file:{store}?mode=rw", uri=True, timeout=30)


if __name__ == "__main__":
    {"keep": make_copy, "put_back": restore, "discard": remove_copy}[sys.argv[1]](_STORE)
