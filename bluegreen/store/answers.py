"""Answers that a repeated request gets again, as rows. They are no history, and go in time."""

from __future__ import annotations

import json
import sqlite3
import time
from dataclasses import dataclass
from typing import Any

from bluegreen.store.database import Database

KEPT_FOR = 24 * 3600.0  # seconds
KEPT_AT_MOST = 1_000  # of one app: what is asked of another forgets none of its answers


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """``request`` is a digest of what was asked for."""

    request: str
    document: Any


class Answers:
    """By app (empty: the daemon's) and key. Methods raise StoreError."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, app: str, key: str) -> KeptAnswer | None:
        """The answer to the first request with the key, if it is still kept."""
        rows = await self._database.read(
            "SELECT request, answer FROM answers WHERE app = ? AND idempotency_key = ? AND at > ?",
            (app, key, time.time() - KEPT_FOR),
        )
        if not rows:
            return None
        return KeptAnswer(request=rows[0]["request"], document=json.loads(rows[0]["answer"]))

    async def keep(self, app: str, key: str, answer: KeptAnswer) -> None:
        """Keep an answer, in the place of one whose time is over; the oldest have to go."""
        now, text = time.time(), json.dumps(answer.document)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM answers WHERE at <= ?", (now - KEPT_FOR,))
            connection.execute(
                "INSERT OR REPLACE INTO answers (app, idempotency_key, request, answer, at)"
                " VALUES (?, ?, ?, ?, ?)",
                (app, key, answer.request, text, now),
            )
            connection.execute(
                "DELETE FROM answers WHERE app = ? AND id <= ("
                "SELECT id FROM answers WHERE app = ? ORDER BY id DESC LIMIT 1 OFFSET ?)",
                (app, app, KEPT_AT_MOST),
            )

        await self._database.write(work)
