"""The one SQLite file, shared by both slots: users, their sessions, and the servers watched."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from .release import migration_names
from .schema import digest, open_database

SESSION = 86400.0  # seconds that a token is good for

ADDRESS = "host" if "0006_rename" in migration_names() else "address"  # the column's name
OWNED = "0010_required" in migration_names()

T = TypeVar("T")


def _token_digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


class Database:
    """Used from the event loop; SQLite itself stays in one thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="database")
        self._connection: sqlite3.Connection | None = None

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def with_connection() -> T:
            if self._connection is None:
                self._connection = open_database(self._path)
            return work(self._connection)

        return await asyncio.get_running_loop().run_in_executor(self._thread, with_connection)

    async def users(self) -> int:
        """How many users there are; the first call creates what is missing."""

        def count(connection: sqlite3.Connection) -> int:
            return int(connection.execute("SELECT count(*) FROM users").fetchone()[0])

        return await self._run(count)

    async def log_in(self, name: str, password: str) -> str | None:
        """A new token, good in both slots; None when the name or the password is wrong."""

        def check(connection: sqlite3.Connection) -> str | None:
            query = "SELECT id, salt, password FROM users WHERE name = ?"
            user = connection.execute(query, (name,)).fetchone()
            if user is None or not secrets.compare_digest(digest(password, user[1]), user[2]):
                return None
            token = secrets.token_urlsafe(32)
            connection.execute("DELETE FROM sessions WHERE expires < ?", (time.time(),))
            connection.execute(
                "INSERT INTO sessions (token, user, expires) VALUES (?, ?, ?)",
                (_token_digest(token), user[0], time.time() + SESSION),
            )
            return token

        return await self._run(check)

    async def knows(self, token: str) -> bool:
        """Whether ``token`` is of a session that has not expired."""

        def look(connection: sqlite3.Connection) -> bool:
            query = "SELECT 1 FROM sessions WHERE token = ? AND expires > ?"
            values = (_token_digest(token), time.time())
            return connection.execute(query, values).fetchone() is not None

        return await self._run(look)

    async def servers(self) -> list[dict[str, object]]:
        """The hundred servers added last, newest first."""

        def read(connection: sqlite3.Connection) -> list[dict[str, object]]:
            columns = ("id", "name", "address", "added_by_slot")
            query = (
                f"SELECT id, name, {ADDRESS}, added_by_slot FROM servers ORDER BY id DESC LIMIT 100"
            )
            return [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]

        return await self._run(read)

    async def add_server(self, name: str, address: str, slot: str) -> int:
        """Insert a row and return its id."""

        def insert(connection: sqlite3.Connection) -> int:
            columns, values = f"name, {ADDRESS}, added_by_slot", [name, address, slot]
            if OWNED:
                columns, values = f"{columns}, owner", [*values, "nobody"]
            marks = ", ".join("?" * len(values))
            statement = f"INSERT INTO servers ({columns}) VALUES ({marks})"
            return connection.execute(statement, values).lastrowid or 0

        return await self._run(insert)

    async def close(self) -> None:
        if self._connection is not None:
            await self._run(sqlite3.Connection.close)
        self._thread.shutdown()
