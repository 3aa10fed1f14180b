"""What the daemon's store would hold if the daemon were killed now, read from copies of its files.

A copy of the database with its write-ahead log, opened elsewhere, is recovered as the files
themselves would be. The copies before the latest commit are what a power cut leaves that comes
just before that commit is on disk.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

_EVENTS = "SELECT kind, data FROM events WHERE id > ? AND kind IN ('operation', 'phase')"
# Of a write-ahead log, in bytes (https://www.sqlite.org/fileformat2.html#walformat).
_HEADER, _FRAME_HEADER = 32, 24
_SLOTS = "SELECT slot, state, version, tree, operation, gated_by, hot_until FROM slots"


class Ledger:
    """Follows the store of one daemon from commit to commit. Blocking, for milliseconds."""

    def __init__(self, database: Path, scratch: Path) -> None:
        self._database = database
        self._copies = [scratch / "one", scratch / "other"]
        for copy in self._copies:
            copy.mkdir()
        self._event = 0
        self._slots: set[tuple[object, ...]] = set()
        self.news()

    def news(self) -> list[str]:
        """What has been committed since the last call: ``gate intent``, ``slot green hot``, …"""
        self._copies.reverse()
        now = self._copies[0]
        _copy(self._database, now / "store.db")
        with tempfile.TemporaryDirectory() as place:
            opened = Path(place) / "store.db"
            _copy(now / "store.db", opened)
            with closing(sqlite3.connect(opened)) as connection:
                return self._read(connection)

    def _read(self, connection: sqlite3.Connection) -> list[str]:
        said = []
        for kind, text in connection.execute(_EVENTS, (self._event,)):
            data = json.loads(text)
            said.append(f"{data['phase'] if kind == 'phase' else kind} {data['state']}")
        [(self._event,)] = connection.execute("SELECT coalesce(max(id), 0) FROM events")
        slots = set(connection.execute(_SLOTS))
        said += [f"slot {slot} {state}" for slot, state, *_ in slots - self._slots]
        self._slots = slots
        return said

    def lose_latest(self) -> None:
        """Undo the latest commit on the daemon's own disk; the daemon must have been killed."""
        _copy(self._copies[1] / "store.db", self._database)


def _copy(database: Path, to: Path) -> None:
    shutil.copyfile(database, to)
    Path(f"{to}-wal").write_bytes(_log(Path(f"{database}-wal")))


def _log(path: Path) -> bytes:
    """A write-ahead log without the room behind it, which the store keeps and never gives back.

    It ends where a frame bears other salts than the header: so much of it counts.
    """
    try:
        log = path.open("rb")
    except FileNotFoundError:
        return b""
    with log:
        header = log.read(_HEADER)
        length = _FRAME_HEADER + int.from_bytes(header[8:12])  # and a page
        parts = [header]
        while len(frame := log.read(length)) == length and frame[8:16] == header[16:24]:
            parts.append(frame)
        return b"".join(parts)
