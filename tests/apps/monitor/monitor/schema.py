"""What every release expects of the SQLite file, which it makes where it is missing.

Without what the services need: what migrates the file starts quickly.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from pathlib import Path

BUSY_TIMEOUT = 5.0  # seconds to wait for the other slot's write
DEFAULT_USER = ("admin", "monitor")

SCHEMA = """
CREATE TABLE IF NOT EXISTS users (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, salt BLOB NOT NULL, password BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sessions (
    token BLOB PRIMARY KEY, user INTEGER NOT NULL REFERENCES users, expires REAL NOT NULL);
CREATE TABLE IF NOT EXISTS servers (
    id INTEGER PRIMARY KEY, name TEXT NOT NULL, address TEXT NOT NULL, added_by_slot TEXT NOT NULL);
"""


def digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**12, r=8, p=1)


def open_database(path: Path) -> sqlite3.Connection:
    """A connection to the database at ``path``, with what every release expects to be there."""
    path.parent.mkdir(exist_ok=True)
    connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(SCHEMA)
    if connection.execute("SELECT count(*) FROM users").fetchone() == (0,):
        name, password = DEFAULT_USER
        salt = secrets.token_bytes(16)
        connection.execute(
            "INSERT OR IGNORE INTO users (name, salt, password) VALUES (?, ?, ?)",
            (name, salt, digest(password, salt)),
        )
    return connection
