"""The schema, version by version: ``sql/NNN-name.sql`` brings a database from NNN - 1 to NNN."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import aiosqlite

from bluegreen.errors import StoreError

_SQL = Path(__file__).resolve().parent / "sql"


@dataclass(frozen=True, kw_only=True)
class Migration:
    """One step of the schema. ``version`` is what ``PRAGMA user_version`` says afterwards."""

    version: int
    file: Path

    def script(self) -> str:
        """The whole step as one transaction: a database is never between two versions."""
        return (
            "BEGIN IMMEDIATE;\n"
            f"{self.file.read_text(encoding='utf-8')}\n"
            f"PRAGMA user_version = {self.version};\n"
            "COMMIT;"
        )


def migrations() -> list[Migration]:
    """All steps, oldest first."""
    return [
        Migration(version=int(file.name.split("-", 1)[0]), file=file)
        for file in sorted(_SQL.glob("[0-9][0-9][0-9]-*.sql"))
    ]


async def migrate(connection: aiosqlite.Connection, path: Path) -> None:
    """Bring the database at ``path`` to the newest version.

    Raises StoreError, with nothing changed, when a newer bluegreen wrote it.
    """
    steps = migrations()
    [(present,)] = await connection.execute_fetchall("PRAGMA user_version")
    if present > steps[-1].version:
        raise StoreError(
            f"the store {path} was written by a newer bluegreen (schema {present}, this one knows "
            f"up to {steps[-1].version})",
            remedy="install that version of bluegreen again",
        )
    for step in steps:
        if step.version > present:
            await connection.executescript(step.script())
