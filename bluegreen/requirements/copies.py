"""What the copies of PostgreSQL databases need on which migrations are rehearsed."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from bluegreen.data import shapes
from bluegreen.data.backups import Backups
from bluegreen.data.postgres_load import PSQL
from bluegreen.errors import BluegreenError, PreflightError
from bluegreen.requirements.backup_programs import asker_of
from bluegreen.sources.disk_space import free_bytes, shortage

_ROOM = 1.25  # of what the database takes: the server keeps a log of what it writes
USUAL = "/var/lib/postgresql"  # where Debian's servers have their databases

# The directory is told to few: who may not know it gets no row.
_QUESTION = """
SELECT json_build_object(
    'role', current_user,
    'may', (SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user),
    'bytes', pg_database_size(current_database()),
    'here', coalesce(inet_server_addr() <<= '127.0.0.0/8' OR inet_server_addr() = '::1', true),
    'directory', (SELECT setting FROM pg_settings WHERE name = 'data_directory'))
"""
_WITHOUT = "or do without: rehearse = false in [migrations]"


async def unmet_copies(backups: Backups, purpose: str, log: Path) -> list[PreflightError]:
    """What would keep them from being made; a server that does not answer is told elsewhere."""
    backup = backups.settings.backup
    if backup is None or not backup.postgres:
        return []
    try:
        asker = await asker_of(backups.programs, purpose, log)
        answers = await asker.ask(
            [
                (*PSQL, "--tuples-only", "--no-align", f"--command={_QUESTION}", f"--dbname={url}")
                for url in backup.postgres
            ]
        )
    except BluegreenError as error:
        return [PreflightError(error.message, detail=error.detail, remedy=error.remedy)]
    pairs = zip(backup.postgres, answers, strict=True)
    found = [(url, answer.said) for url, answer in pairs if answer.status == 0]
    return await asyncio.to_thread(problems, backups.settings.name, found)


def problems(app: str, answers: Sequence[tuple[str, str]]) -> list[PreflightError]:
    """Of what each server, by its address, has answered. Blocks on the disk."""
    return [problem for url, answer in answers for problem in _problems(app, url, answer)]


def _problems(app: str, url: str, answer: str) -> Iterator[PreflightError]:
    try:
        said = shapes.table(lambda value: value, json.loads(answer))
        role, needed = shapes.text(said["role"]), shapes.count(said["bytes"])
        may, here = shapes.flag(said["may"]), shapes.flag(said["here"])
        directory = shapes.optional(shapes.text, said["directory"]) or USUAL
    except (KeyError, TypeError, ValueError) as error:
        yield PreflightError(
            f"{app}: whether {url} can be copied is not known, as the answer makes no sense: "
            f"{error}",
            remedy=f"ask it by hand, and see what else it says: psql \"{url}\" -c 'SELECT 1'",
        )
        return
    if not may:
        yield PreflightError(
            f"{app}: migrations cannot be rehearsed: the role {role} of {url} may not create the "
            "database that they are rehearsed on",
            remedy=f'let an administrator allow it: ALTER ROLE "{role}" CREATEDB; {_WITHOUT}',
        )
    # Elsewhere, such as in a container, only the server knows its disk.
    if here and os.path.isdir(directory) and free_bytes(Path(directory)) < _ROOM * needed:
        yield PreflightError(
            f"{app}: migrations cannot be rehearsed: the disk has no room for a copy of {url}",
            detail=[shortage(Path(directory), round(_ROOM * needed))],
            remedy=f"free some space there; {_WITHOUT}",
        )
