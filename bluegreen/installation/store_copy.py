"""A copy of the store from before an upgrade, for the case that the new version changes its schema
and does not come up: the previous version would refuse that store.

All of it is done as the daemon's user, in a process of its own: root follows no link that this user
could have made.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

from bluegreen.errors import StoreError
from bluegreen.files import rename_durably
from bluegreen.host.places import DAEMON_USER, HostLayout

LIMIT = 300.0  # seconds
_STORE = HostLayout(Path("/")).database
_COPY = _STORE.with_name(f"{_STORE.name}.before-upgrade")


def keep(tree: Path) -> None:
    """Make the copy. Raises StoreError when it cannot be made."""
    _as_the_daemon(tree, "keep")


def put_back(tree: Path) -> None:
    """Where the schema is another one now, the copy becomes the store. The daemon must be down."""
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


def _keep() -> None:
    if not _STORE.exists():
        return
    _discard()
    with (
        contextlib.closing(_opened(_STORE)) as store,
        contextlib.closing(sqlite3.connect(_COPY)) as copy,
    ):
        store.backup(copy)
    with _COPY.open("rb") as file:
        os.fsync(file.fileno())


def _put_back() -> None:
    if not _COPY.exists() or _schema(_STORE) == _schema(_COPY):
        return
    for suffix in ("-wal", "-shm"):
        _STORE.with_name(_STORE.name + suffix).unlink(missing_ok=True)
    rename_durably(_COPY, _STORE)


def _discard() -> None:
    _COPY.unlink(missing_ok=True)


def _schema(store: Path) -> int:
    with contextlib.closing(_opened(store)) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _opened(store: Path) -> sqlite3.Connection:
    # Read and write, as a store whose last daemon was killed is recovered from its log first; but
    # never made anew.
    return sqlite3.connect(f"file:{store}?mode=rw", uri=True, timeout=30)


if __name__ == "__main__":
    {"keep": _keep, "put_back": _put_back, "discard": _discard}[sys.argv[1]]()
