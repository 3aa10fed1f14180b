"""Data that only a program can give and take: PostgreSQL databases, and what a command prints."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bluegreen.config.environment import ProcessEnvironment, backup_environment
from bluegreen.config.placeholders import expand, slot_values
from bluegreen.config.settings import AppSettings
from bluegreen.data.manifest import OUTPUT, dump
from bluegreen.data.work import DiskFullError, OnLine
from bluegreen.errors import DataError
from bluegreen.layout import AppLayout
from bluegreen.model import Job, Slot
from bluegreen.slots.building import last_lines
from bluegreen.sources.disk_space import says_full, shortage
from bluegreen.supervisors.interface import JobRunner

PG_LOCK_WAIT = "10s"  # for a table that somebody else has locked
_NOT_FOUND = 127  # what a shell ends with where there is no such program

# Its own standard output is the log; $2 is opened before the script can do anything.
_TO_FILE = 'exec /bin/sh -c "$1" >"$2"'
_FROM_FILE = 'exec /bin/sh -c "$1" <"$2"'


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
        values = slot_values(
            self.settings, self.layout, self.slot,
            version=self.version, tree=self.tree, service=None,
        )  # fmt: skip
        quoted = {name: shlex.quote(value) for name, value in values.items()}
        file = str(directory / OUTPUT)

        def words(how: str, script: str) -> tuple[str, ...]:
            return ("/bin/sh", "-c", how, "sh", expand(script, quoted), file)

        return Part(
            name="command",
            file=OUTPUT,
            dump=(words(_TO_FILE, command),),
            load=() if restore_command is None else words(_FROM_FILE, restore_command),
            is_atomic=False,
        )

    async def dump(
        self, parts: Sequence[Part], *, logs: Path, operation: int, on_line: OnLine
    ) -> None:
        """Have each part written into its draft, whose directories are there. Raises DataError."""
        for part in parts:
            log = logs / f"backup-{part.name}.log"
            for argv in part.dump:
                await self._run(part, argv, log, operation, self.layout.backups)
            await on_line(f"{part.name}: backed up by {os.path.basename(part.dump[0][0])}")

    async def load(self, part: Part, *, logs: Path, operation: int) -> None:
        """Have a part read back from its backup. Raises DataError."""
        log = logs / f"restore-{part.name}.log"
        await self._run(part, part.load, log, operation, self.layout.shared)

    async def _run(
        self, part: Part, argv: tuple[str, ...], log: Path, operation: int, writes: Path
    ) -> None:
        environment: ProcessEnvironment = await asyncio.to_thread(
            backup_environment, self.settings, self.layout, self.slot,
            version=self.version, tree=self.tree,
        )  # fmt: skip
        backup = self.settings.backup
        job = Job(
            app=self.settings.name,
            name=f"{self.settings.name}-{operation}-{part.name}",
            argv=environment.command(argv),
            cwd=self.tree,
            env=environment.variables,
            timeout=backup.timeout if backup is not None else 0.0,
            log_file=log,
        )
        result = await self.jobs.run(job)
        if result.ok:
            return
        lines = await asyncio.to_thread(last_lines, job.log_file, job.env)
        full = says_full(lines)
        kind = DiskFullError if full else DataError
        raise kind(
            f"{self.settings.name}: {part.name} ({os.path.basename(argv[0])}) failed: "
            f"{result.ending}",
            detail=[*lines, *([shortage(writes)] if full else [])],
            remedy=_remedy(result.exit_status, full=full)
            + f"the whole output: bluegreen logs {self.settings.name} {operation}",
        )


def _remedy(status: int | None, *, full: bool) -> str:
    if full:
        return "free some space on the disk; "
    if status == _NOT_FOUND:
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
            ("pg_restore", "--list", "--file=/dev/null", file),
        ),
        load=(
            "pg_restore", "--clean", "--if-exists", "--single-transaction", "--exit-on-error",
            "--no-password", f"--dbname={url}", file,
        ),
        is_atomic=True,
    )  # fmt: skip


def unloadable(parts: Sequence[Part], files: Sequence[str]) -> Iterator[str]:
    """Those of ``files`` of a backup that none of ``parts`` can load."""
    loadable = {part.file for part in parts if part.load}
    return (file for file in files if file not in loadable)
