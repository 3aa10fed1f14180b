"""Backups and migrations."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict

from bluegreen.migrations.nouns import MigrationChange


class FilesThen(TypedDict):
    files: int
    bytes: int


class FilesNow(FilesThen):
    changed_at: float | None
    then: FilesThen


class Backup(TypedDict):
    """Of one whose manifest cannot be used only the first three."""

    id: int
    good: bool
    problem: str | None
    created_at: NotRequired[float]
    reason: NotRequired[str]
    version: NotRequired[str | None]
    bytes: NotRequired[int]
    sqlite: NotRequired[dict[str, dict[str, int]]]
    files: NotRequired[dict[str, FilesThen]]
    postgres: NotRequired[dict[str, dict[str, int]]]
    command: NotRequired[bool]
    damaged: NotRequired[list[str]]


class Backups(TypedDict):
    """The newest first."""

    app: str
    backups: list[Backup]


class Verified(TypedDict):
    app: str
    id: int
    verified: bool
    damaged: list[str]


class Database(TypedDict):
    """Rows by table, now and then. ``changed_at`` is not known of PostgreSQL."""

    rows: dict[str, int]
    then: dict[str, int]
    problem: str | None
    changed_at: NotRequired[float | None]


class Loss(TypedDict):
    """What a restore would replace."""

    app: str
    backup: int
    created_at: float
    version: str | None
    sqlite: dict[str, Database]
    files: dict[str, FilesNow]
    postgres: dict[str, Database]
    command: bool


class AppliedMigration(TypedDict):
    name: str
    change: MigrationChange
    operation: int
    version: str
    at: float


class Applied(TypedDict):
    """The oldest first."""

    app: str
    applied: list[AppliedMigration]
