"""Data that only a program can give and take: PostgreSQL databases, and what a command prints."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bluegreen.config.environment import ProcessEnvironment, backup_environment
from bluegreen.config.placeholders import expand_script, slot_values
from bluegreen.config.settings import AppSettings
from bluegreen.data.manifest import OUTPUT, dump, rows_in_words
from bluegreen.data.postgres_copy import copier
from bluegreen.data.postgres_facts import NOT_FOUND, asker, rows_in_log, schema_in_log, size_in_log
from bluegreen.data.postgres_load import PG_LOCK_WAIT, loader
from bluegreen.data.work import SHORT, DiskFullError, OnLine
from bluegreen.errors import DataError
from bluegreen.layout import AppLayout
from bluegreen.model import Job, Slot
from bluegreen.slots.building import last_lines
from bluegreen.sources.disk_space import says_full, shortage
from bluegreen.supervisors.interface import JobRunner

# Its own standard output is the log; $2 is opened before the script can do anything.
_TO_FILE = 'exec /bin/sh -c "$1" >"$2"'
_FROM_FILE = 'exec /bin/sh -c "$1" <"$2"'


_T = TypeVar("_T")


@dataclass(frozen=True, kw_only=True)
class Part:
    """One of them: ``name`` for people and logs, ``file`` in the backup.

    ``dump`` and ``load`` are the commands, one after the other; no ``load``: it cannot be restored.
    """

    name: str
    file: str
    dump: tuple[tuple[str, ...], ...]
    load: tuple[str, ...]
    is_atomic: bool  # a load that fails has changed nothing
    url: str | None = None  # of a PostgreSQL database


@dataclass(frozen=True, kw_only=True)
class Programs:
    """The programs of one app, as its release in ``slot`` would run them."""

    settings: AppSettings
    layout: AppLayout
    jobs: JobRunner
    slot: Slot
    version: str
    tree: Path

    def parts(self, directory: Path) -> list[Part]:
        """What ``[backup]`` names, with the backup in ``directory``."""
        backup = self.settings.backup
        if backup is None:
            return []
        found = [
            _database(number, url, directory) for number, url in enumerate(backup.postgres, start=1)
        ]
        if backup.command is not None:
            found.append(self._command(backup.command, backup.restore_command, directory))
        return found

    def _command(self, command: str, restore_command: str | None, directory: Path) -> Part:
        file = str(directory / OUTPUT)

        return Part(
            name="command",
            file=OUTPUT,
            dump=(self.writing(command, file),),
            load=() if restore_command is None else self.reading(restore_command, file),
            is_atomic=False,
        )

    def writing(self, script: str, file: str) -> tuple[str, ...]:
        """The words that run ``script`` with ``file`` as its standard output."""
        return ("/bin/sh", "-c", _TO_FILE, "sh", self.expanded(script), file)

    def reading(self, script: str, file: str) -> tuple[str, ...]:
        """The words that run ``script`` with ``file`` as its standard input."""
        return ("/bin/sh", "-c", _FROM_FILE, "sh", self.expanded(script), file)

    def expanded(self, script: str) -> str:
        """A command of ``[backup]``, as a shell gets it."""
        values = slot_values(
            self.settings, self.layout, self.slot,
            version=self.version, tree=self.tree, service=None,
        )  # fmt: skip
        return expand_script(script, values)

    async def dump(
        self, parts: Sequence[Part], *, logs: Path, operation: int, on_line: OnLine
    ) -> dict[str, dict[str, int]]:
        """Have each part written into its draft, whose directories are there. Raises DataError.

        Returns the rows by table, as they are in the dump, of each PostgreSQL database by its URL.
        """
        found: dict[str, dict[str, int]] = {}
        for part in parts:
            log = logs / f"backup-{part.name}.log"
            for argv in part.dump:
                await self.run(part.name, argv, log, self.layout.backups, operation)
            said = f"{part.name}: backed up by {os.path.basename(part.dump[0][0])}"
            if part.url is not None:
                found[part.url] = rows = await asyncio.to_thread(_read, rows_in_log, log)
                said += f" and read back, {rows_in_words(rows)}"
            await on_line(said)
        return found

    async def rows_now(self, url: str) -> dict[str, int]:
        """The rows by table of a PostgreSQL database. Raises DataError."""
        return await self._asked(asker("now", url), rows_in_log)

    async def schema(self, url: str) -> dict[str, str]:
        """By object of a PostgreSQL database, the digest of its definition. Raises DataError."""
        return await self._asked(asker("schema", url), schema_in_log)

    async def bytes_of(self, url: str) -> int:
        """What a PostgreSQL database takes on its server's disk. Raises DataError."""
        return await self._asked(asker("size", url), size_in_log)

    async def _asked(self, words: tuple[str, ...], read: Callable[[Path], _T]) -> _T:
        async with self.kept_nowhere() as log:
            await self.run("ask", words, log, self.layout.backups, limit=SHORT)
            return await asyncio.to_thread(_read, read, log)

    @contextlib.asynccontextmanager
    async def kept_nowhere(self) -> AsyncIterator[Path]:
        """A log that is gone afterwards."""
        log = self.layout.work / f"said-{secrets.token_hex(4)}.log"
        try:
            yield log
        finally:
            await asyncio.to_thread(log.unlink, missing_ok=True)

    async def load(self, part: Part, *, logs: Path, operation: int) -> None:
        """Have a part read back from its backup. Raises DataError."""
        log = logs / f"restore-{part.name}.log"
        await self.run(part.name, part.load, log, self.layout.shared, operation)

    async def run(
        self,
        name: str,
        argv: tuple[str, ...],
        log: Path,
        writes: Path,
        operation: int = 0,
        *,
        limit: float | None = None,
    ) -> None:
        """Have ``argv`` run, which writes to ``writes``. Raises DataError, with the end of ``log``.

        ``operation`` 0: of none that has an output which is kept. ``limit`` in seconds.
        """
        purpose = operation or secrets.token_hex(4)
        environment: ProcessEnvironment = await asyncio.to_thread(
            backup_environment, self.settings, self.layout, self.slot,
            version=self.version, tree=self.tree,
        )  # fmt: skip
        job = Job(
            app=self.settings.name,
            name=f"{self.settings.name}-{purpose}-{name}",
            argv=environment.command(argv),
            cwd=self.tree,
            env=environment.variables,
            timeout=self.settings.data_timeout if limit is None else limit,
            log_file=log,
        )
        result = await self.jobs.run(job)
        if result.ok:
            return
        lines = await asyncio.to_thread(last_lines, job.log_file, job.env)
        full = says_full(lines)
        kind = DiskFullError if full else DataError
        raise kind(
            f"{self.settings.name}: {name} ({_called(argv)}) failed: {result.ending}",
            detail=[*lines, *([shortage(writes)] if full else [])],
            remedy=_remedy(result.exit_status, full=full)
            + (
                f"the whole output: bluegreen logs {self.settings.name} {operation}"
                if operation
                else "see to what it says, then try again"
            ),
        )


def _read(read: Callable[[Path], _T], log: Path) -> _T:
    """Of a database that the app may have filled with whatever names: it is checked what it is."""
    try:
        return read(log)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"what is asked of a PostgreSQL database has no answer that makes sense: {error}",
            remedy="see that psql and pg_restore are those of the server's version, then try again",
        ) from error


def _called(argv: tuple[str, ...]) -> str:
    ours = {
        asker(): "asking psql", loader(): "pg_restore",
        copier("make"): "copying it", copier("drop"): "dropping its copy",
    }  # fmt: skip
    return ours.get(argv[:4]) or ours.get(argv[:5]) or os.path.basename(argv[0])


def _remedy(status: int | None, *, full: bool) -> str:
    if full:
        return "free some space on the disk; "
    if status == NOT_FOUND:
        return "install what is missing (pg_dump is in the package postgresql-client); "
    return ""


def _database(number: int, url: str, directory: Path) -> Part:
    file = str(directory / dump(number))
    return Part(
        name=f"postgres-{number}",
        file=dump(number),
        dump=(
            (
                "pg_dump", "--format=custom", "--no-password",
                f"--lock-wait-timeout={PG_LOCK_WAIT}", f"--file={file}", f"--dbname={url}",
            ),
            asker("dump", file),
        ),
        load=loader(url, file),
        is_atomic=True,
        url=url,
    )  # fmt: skip


def unloadable(parts: Sequence[Part], files: Sequence[str]) -> Iterator[str]:
    """Those of ``files`` of a backup that none of ``parts`` can load."""
    loadable = {part.file for part in parts if part.load}
    return (file for file in files if file not in loadable)
